package activmail

import (
	"encoding/json"
	"time"

	"github.com/videoactivmail/vam"
)

// HeadType is the media type of a message head and of the other small JSON answers.
const HeadType = "application/json"

// Head is the body of GET /m/{mid}: where a message stands at its origin (AM-7.3).
type Head struct {
	MessageID vam.MessageID
	Origin    vam.Domain
	Kind      vam.Kind
	State     vam.State
	// LogSize is the number of log lines; Size is the length of the main track so
	// far. Both are final once State is not Live.
	LogSize int64
	Size    vam.Bytes
	// Duration is that of the main track so far; 0 is not known.
	Duration time.Duration
	// ContentType is the media type of the main track; "" is not known yet.
	ContentType string
	// Tracks are the names of the extra renditions.
	Tracks  []string
	Created time.Time // whole seconds, UTC
	Expires time.Time // zero is never
	// Checkpoint is the newest one; it covers at least LogSize lines.
	Checkpoint []byte
}

type headJSON struct {
	V      int           `json:"v"`
	MID    vam.MessageID `json:"mid"`
	Origin vam.Domain    `json:"origin"`
	Kind   vam.Kind      `json:"kind"`
	State  vam.State     `json:"state"`
	Log    int64         `json:"log"`
	Size   int64         `json:"size"`
	Dur    float64       `json:"dur,omitempty"`
	CT     string        `json:"ct,omitempty"`
	Tracks []string      `json:"tr,omitempty"`
	At     string        `json:"at,omitempty"`
	Exp    string        `json:"exp,omitempty"`
	CP     string        `json:"cp"`
}

// Marshal writes the document.
func (h Head) Marshal() ([]byte, error) {
	return json.Marshal(headJSON{
		V: 1, MID: h.MessageID, Origin: h.Origin, Kind: h.Kind, State: h.State,
		Log: h.LogSize, Size: int64(h.Size), Dur: h.Duration.Seconds(), CT: h.ContentType,
		Tracks: h.Tracks, At: formatStamp(h.Created), Exp: formatStamp(h.Expires), CP: string(h.Checkpoint),
	})
}

// ParseHead reads a message head. The checkpoint is not verified yet: see
// [OpenCheckpoint]. Errors: Invalid, TooLarge.
func ParseHead(b []byte, limits Limits) (Head, error) {
	if vam.Bytes(len(b)) > limits.Document {
		return Head{}, vam.Errorf(vam.TooLarge, "the message head has %v and at most %v are read", vam.Bytes(len(b)), limits.Document)
	}
	var j headJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return Head{}, vam.Wrap(vam.Invalid, err, "the message head is not the JSON that VAM/1 defines")
	}
	created, err1 := parseStamp(j.At)
	expires, err2 := parseStamp(j.Exp)
	mid, err3 := vam.ParseMessageID(string(j.MID))
	switch {
	case j.V != 1:
		return Head{}, vam.Errorf(vam.Invalid, "the message head has version %d and this reader knows version 1", j.V).WithProblem("version")
	case err1 != nil || err2 != nil || err3 != nil,
		j.Log < 0, j.Log > limits.Lines, j.Size < 0, vam.Bytes(j.Size) > limits.Message,
		j.Dur < 0, j.Dur > maxHeadSeconds, len(j.Tracks) > limits.Tracks, vam.Bytes(len(j.CP)) > limits.Checkpoint:
		return Head{}, vam.Errorf(vam.Invalid, "a member of the message head is not well formed or over its limit")
	}
	return Head{
		MessageID: mid, Origin: j.Origin, Kind: j.Kind, State: j.State,
		LogSize: j.Log, Size: vam.Bytes(j.Size), Duration: time.Duration(j.Dur * float64(time.Second)),
		ContentType: j.CT, Tracks: j.Tracks, Created: created, Expires: expires, Checkpoint: []byte(j.CP),
	}, nil
}

// maxHeadSeconds keeps a duration well inside time.Duration.
const maxHeadSeconds = 1e8

func formatStamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Truncate(time.Second).Format(time.RFC3339)
}

func parseStamp(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	return t.UTC(), err
}
