package activmail

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a node of the log's RFC 6962 tree. It is written in base64; a [Sum], the
// name of a blob, is written in hex.
type Hash = tlog.Hash

// Sum is the SHA-256 of a blob and its name. The zero Sum stands for "no blob".
type Sum [32]byte

// ParseSum reads 64 lower-case hex digits. Errors: Invalid.
func ParseSum(s string) (Sum, error) {
	var sum Sum
	if len(s) == 64 && strings.ToLower(s) == s {
		if _, err := hex.Decode(sum[:], []byte(s)); err == nil {
			return sum, nil
		}
	}
	return Sum{}, malformed("%s is not a SHA-256 in 64 lower-case hex digits", quoteShort([]byte(s)))
}

// String is the lower-case hex form.
func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// IsZero reports whether s stands for "no blob".
func (s Sum) IsZero() bool { return s == Sum{} }

// MarshalText writes the hex form.
func (s Sum) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the ParseSum form. Errors: Invalid.
func (s *Sum) UnmarshalText(b []byte) error {
	v, err := ParseSum(string(b))
	if err != nil {
		return err
	}
	*s = v
	return nil
}

// RecordKind is the k member of a record.
type RecordKind string

// The record kinds of VAM/1.
const (
	RecordInit   RecordKind = "init"   // initialisation segment of a track
	RecordPart   RecordKind = "part"   // next piece of a track
	RecordPoster RecordKind = "poster" // still image
	RecordText   RecordKind = "text"   // captions or transcript
	RecordSeal   RecordKind = "seal"   // the media is complete
	RecordExpire RecordKind = "expire" // the media goes away at a time
	RecordRevoke RecordKind = "revoke" // the author took the message back
)

// Record is one entry of a message log. A field that the kind does not use is zero.
// Of a record of an unknown kind only Kind and Crit are read; it is kept and hashed
// like the others.
type Record struct {
	Kind RecordKind
	// Blob and Length (octets, at least 1) name the bytes of init, part, poster and
	// text.
	Blob   Sum
	Length vam.Bytes
	// ContentType is a media type with its parameters: of init, poster and text, and
	// of the first part of a track that has no init; in a seal that of the whole file.
	ContentType string
	// Name is the file name for the recipient's download, at most 255 octets; seal
	// only. A reader that saves under it sanitises it again.
	Name string
	// Timed says that a part has Time and Duration. Time counts from the start of
	// the track; Duration is that of the part, or of the whole in a seal.
	Timed    bool
	Time     time.Duration
	Duration time.Duration
	// Independent says that the part starts with a key frame.
	Independent bool
	// Track names an extra rendition; the main track is "".
	Track string
	// Lang is the language tag of a text (RFC 5646).
	Lang string
	// Bytes and SHA256 are of the whole main track; seal only.
	Bytes  vam.Bytes
	SHA256 Sum
	// At is the time of an expire or revoke, in whole seconds UTC. Why is one word: of a
	// revoke, or "cut" in the seal of a recording that its author did not end.
	At  time.Time
	Why string
	// Crit makes a reader that does not know Kind stop.
	Crit bool
}

// Known reports whether VAM/1 defines the kind.
func (k RecordKind) Known() bool { _, known := membersOf(k); return known }

// HasBlob reports whether the record names bytes.
func (r Record) HasBlob() bool {
	switch r.Kind {
	case RecordInit, RecordPart, RecordPoster, RecordText:
		return true
	}
	return false
}

// IsMedia reports whether the record's blob is a piece of the main track, and so of
// the file that a recipient downloads (AM-4.8, AM-4.26).
func (r Record) IsMedia() bool {
	return r.Track == "" && (r.Kind == RecordInit || r.Kind == RecordPart)
}

// LeafHash is SHA-256(0x00 || line), RFC 6962 section 2.1.
func LeafHash(line []byte) Hash { return tlog.RecordHash(line) }

// ParseRecord reads one log line without its LF (AM-4.2, AM-4.5). Unknown members are
// ignored. A record of an unknown kind is an error only when it is critical (AM-4.6). Errors: Invalid
// (malformed, version), TooLarge.
func ParseRecord(line []byte, limits Limits) (Record, error) {
	if vam.Bytes(len(line)) > limits.Line {
		return Record{}, tooLarge("log line", limits.Line)
	}
	// The exact bytes are hashed and framed by line ends, so nothing stands around
	// the object.
	if len(line) < 2 || line[0] != '{' || line[len(line)-1] != '}' || bytes.IndexByte(line, '\n') >= 0 || bytes.IndexByte(line, '\r') >= 0 {
		return Record{}, malformed("the log line is not one JSON object on one line")
	}
	members, err := parseObject(line, "log line")
	if err != nil {
		return Record{}, err
	}
	d := &document{what: "record", members: members}
	d.require("k")
	r := Record{Kind: RecordKind(take(d, "k", decodeWord)), Crit: take(d, "crit", decodeFlag)}
	if d.err != nil {
		return Record{}, d.err
	}
	set, known := membersOf(r.Kind)
	if !known {
		if r.Crit {
			return Record{}, vam.Errorf(vam.Invalid, "the log has a record of the kind %q that must be understood and is not known here", r.Kind).WithProblem("version")
		}
		return r, nil
	}
	d.require(set.required...)
	r.decode(d, set)
	if d.err == nil {
		d.err = r.bound(limits)
	}
	if d.err != nil {
		return Record{}, d.err
	}
	return r, nil
}

// memberSet is what a kind uses besides k and crit.
type memberSet struct{ required, optional []string }

func (s memberSet) has(name string) bool {
	for _, list := range [2][]string{s.required, s.optional} {
		for _, n := range list {
			if n == name {
				return true
			}
		}
	}
	return false
}

func membersOf(k RecordKind) (set memberSet, known bool) {
	switch k {
	case RecordInit:
		return memberSet{[]string{"b", "l", "ct"}, []string{"tr"}}, true
	case RecordPart:
		return memberSet{[]string{"b", "l"}, []string{"ct", "t", "d", "i", "tr"}}, true
	case RecordPoster:
		return memberSet{[]string{"b", "l", "ct"}, nil}, true
	case RecordText:
		return memberSet{[]string{"b", "l", "ct", "lang"}, nil}, true
	case RecordSeal:
		return memberSet{[]string{"bytes", "sha256"}, []string{"dur", "ct", "name", "why"}}, true
	case RecordExpire:
		return memberSet{[]string{"at"}, nil}, true
	case RecordRevoke:
		return memberSet{[]string{"at"}, []string{"why"}}, true
	}
	return memberSet{}, false
}

func (r *Record) decode(d *document, set memberSet) {
	for _, m := range d.members {
		name := string(m.name)
		if !set.has(name) {
			continue
		}
		switch name {
		case "b":
			r.Blob = take(d, name, decodeSum)
		case "l":
			r.Length = take(d, name, decodeBytes)
			if d.err == nil && r.Length == 0 {
				d.fail(name, "is 0; an empty blob has no record")
			}
		case "ct":
			r.ContentType = take(d, name, decodeMediaType)
		case "t":
			r.Time = take(d, name, decodeSeconds)
		case "d", "dur":
			r.Duration = take(d, name, decodeSeconds)
		case "i":
			r.Independent = take(d, name, decodeFlag)
		case "tr":
			r.Track = take(d, name, decodeWord)
		case "lang":
			r.Lang = take(d, name, decodeLang)
		case "bytes":
			r.Bytes = take(d, name, decodeBytes)
		case "sha256":
			r.SHA256 = take(d, name, decodeSum)
		case "at":
			r.At = take(d, name, decodeTime)
		case "why":
			r.Why = take(d, name, decodeWord)
		case "name":
			r.Name = take(d, name, decodeFileName)
		}
	}
	if r.Kind == RecordPart {
		r.Timed = d.has("t")
		if d.err == nil && r.Timed != d.has("d") {
			d.fail("t", "and the member \"d\" come together or not at all")
		}
	}
}

func (r Record) bound(limits Limits) error {
	limit, what := limits.Part, "blob of a part"
	switch r.Kind {
	case RecordPoster:
		limit, what = limits.Poster, "poster"
	case RecordText:
		limit, what = limits.Text, "text"
	}
	if r.HasBlob() && r.Length > limit {
		return tooLarge(what, limit)
	}
	if r.Bytes > limits.Message {
		return tooLarge("message", limits.Message)
	}
	return nil
}

// MarshalLine writes the record as one line without LF. It writes the known kinds
// only, and only fields that the kind uses. A line that came from somebody else is
// kept as it is, never written again: its exact bytes are hashed. Errors: Invalid.
func (r Record) MarshalLine() ([]byte, error) {
	set, known := membersOf(r.Kind)
	if !known {
		return nil, malformed("%s is not a record kind of this version", quoteShort([]byte(r.Kind)))
	}
	w := objectWriter{b: make([]byte, 0, 192)}
	w.text("k", string(r.Kind))
	if set.has("b") {
		w.sum("b", r.Blob)
		w.integer("l", int64(r.Length))
	}
	w.optional("ct", r.ContentType)
	if r.Timed {
		w.seconds("t", r.Time)
		w.seconds("d", r.Duration)
	}
	w.flag("i", r.Independent)
	w.optional("tr", r.Track)
	w.optional("lang", r.Lang)
	if r.Kind == RecordSeal {
		w.integer("bytes", int64(r.Bytes))
		if r.Duration != 0 {
			w.seconds("dur", r.Duration)
		}
		w.sum("sha256", r.SHA256)
	}
	w.optional("name", r.Name)
	w.time("at", r.At)
	w.optional("why", r.Why)
	w.flag("crit", r.Crit)
	line := w.end()
	// What it writes it can read: the reader is the one place that knows the rules.
	back, err := ParseRecord(line, Limits{Line: math.MaxInt64, Part: math.MaxInt64, Poster: math.MaxInt64, Text: math.MaxInt64, Message: math.MaxInt64})
	if err != nil {
		return nil, err
	}
	if !back.same(r) {
		return nil, malformed("a %s record has a field that its kind does not use, or a time that is not in whole seconds", r.Kind)
	}
	return line, nil
}

// same is equality, with the times compared as moments.
func (r Record) same(o Record) bool {
	if !r.At.Equal(o.At) {
		return false
	}
	r.At, o.At = time.Time{}, time.Time{}
	return r == o
}
