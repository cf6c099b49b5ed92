package activmail

import (
	"time"
	"unicode/utf8"

	"github.com/videoactivmail/vam"
)

// HeadType is the media type of a message head and of the other small JSON answers.
const HeadType = "application/json"

// Head is the body of GET /m/{mid}: where a message stands at its origin (AM-7.3).
type Head struct {
	MessageID vam.MessageID
	Origin    vam.Domain
	Kind      vam.Kind
	State     vam.State // Live or Sealed
	// LogSize is the number of log lines; Size is the length of the main track so
	// far. Size is final once State is Sealed.
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

// ParseHead reads a message head. The checkpoint is not verified yet: see
// [OpenCheckpoint]. Errors: Invalid (malformed, version), TooLarge.
func ParseHead(b []byte, limits Limits) (Head, error) {
	d, err := openDocument(b, limits.Document, "message head")
	if err != nil {
		return Head{}, err
	}
	if err := d.version("v"); err != nil {
		return Head{}, err
	}
	d.require("mid", "origin", "kind", "state", "log", "size", "at", "cp")
	h := Head{
		MessageID:   take(d, "mid", parsed(vam.ParseMessageID)),
		Origin:      take(d, "origin", parsed(parseDomain)),
		Kind:        take(d, "kind", parsed(vam.ParseKind)),
		State:       vam.State(take(d, "state", decodeText)),
		LogSize:     take(d, "log", decodeInteger),
		Size:        take(d, "size", decodeBytes),
		Duration:    take(d, "dur", decodeSeconds),
		ContentType: take(d, "ct", decodeMediaType),
		Tracks:      list(d, "tr", limits.Tracks, decodeWord),
		Created:     take(d, "at", decodeTime),
		Expires:     take(d, "exp", decodeTime),
		Checkpoint:  take(d, "cp", decodeOctets),
	}
	if d.err == nil && h.State != vam.Live && h.State != vam.Sealed {
		d.fail("state", "is neither live nor sealed")
	}
	if d.err != nil {
		return Head{}, d.err
	}
	switch {
	case h.LogSize > limits.Lines:
		return Head{}, vam.Errorf(vam.TooLarge, "the log has %d lines; the limit here is %d", h.LogSize, limits.Lines).WithProblem("too-large")
	case h.Size > limits.Message:
		return Head{}, tooLarge("message", limits.Message)
	case vam.Bytes(len(h.Checkpoint)) > limits.Checkpoint:
		return Head{}, tooLarge("checkpoint", limits.Checkpoint)
	}
	return h, nil
}

// Marshal writes the document. Errors: Invalid, TooLarge.
func (h Head) Marshal() ([]byte, error) {
	if !utf8.Valid(h.Checkpoint) {
		return nil, malformed("the checkpoint is not UTF-8")
	}
	var w objectWriter
	w.integer("v", 1)
	w.text("mid", string(h.MessageID))
	w.text("origin", string(h.Origin))
	w.text("kind", string(h.Kind))
	w.text("state", string(h.State))
	w.integer("log", h.LogSize)
	w.integer("size", int64(h.Size))
	if h.Duration > 0 {
		w.seconds("dur", h.Duration)
	}
	w.optional("ct", h.ContentType)
	if len(h.Tracks) > 0 {
		w.texts("tr", h.Tracks)
	}
	w.time("at", h.Created)
	w.time("exp", h.Expires)
	w.text("cp", string(h.Checkpoint))
	body := w.end()
	limits := DefaultLimits()
	limits.Lines, limits.Message = maxInteger, maxInteger
	if _, err := ParseHead(body, limits); err != nil {
		return nil, err
	}
	return body, nil
}
