package activmail

import (
	"time"

	"github.com/videoactivmail/vam"
	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a node of the log's RFC 6962 tree. It is written in base64; a [Sum], the
// name of a blob, is written in hex.
type Hash = tlog.Hash

// Sum is the SHA-256 of a blob and its name. The zero Sum stands for "no blob".
type Sum [32]byte

// RecordKind is the k member of a record.
type RecordKind string

// The record kinds of VAM/1 (AM-4.4).
const (
	RecordInit   RecordKind = "init"   // initialisation segment of a track
	RecordPart   RecordKind = "part"   // next piece of a track
	RecordPoster RecordKind = "poster" // still image
	RecordText   RecordKind = "text"   // captions or transcript
	RecordSeal   RecordKind = "seal"   // the media is complete
	RecordExpire RecordKind = "expire" // the media goes away at a time
	RecordRevoke RecordKind = "revoke" // the author took the message back
)

// Record is one entry of a message log. Which fields a kind uses is AM-4.4; the
// others are zero.
type Record struct {
	Kind RecordKind
	// Blob and Length (octets) name the bytes of init, part, poster and text.
	Blob   Sum
	Length vam.Bytes
	// ContentType is a media type with its parameters: init, poster, text, and the
	// first part of a track without init.
	ContentType string
	// Timed says that a part has Time and Duration. Time counts from the start of
	// the track; Duration is that of a part, or of the whole when sealed.
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
	// At is the time of an expire or revoke, in whole seconds UTC; Why is a word.
	At  time.Time
	Why string
	// Crit makes a reader that does not know Kind stop.
	Crit bool
}

// HasBlob reports whether the record names bytes.
func (r Record) HasBlob() bool { return r.Blob != Sum{} }

// IsMedia reports whether the record's blob is a piece of the main track, and so of
// the file that a recipient downloads.
func (r Record) IsMedia() bool {
	return r.Track == "" && (r.Kind == RecordInit || r.Kind == RecordPart)
}

// ParseRecord reads one log line without its LF. Errors: Invalid, TooLarge.
func ParseRecord(line []byte, limits Limits) (Record, error) {
	return Record{}, vam.Errorf(vam.Internal, "not written yet")
}

// MarshalLine writes the record as one line without LF. A line that came from
// somebody else is kept as it is, never written again: its exact bytes are hashed.
// Errors: Invalid.
func (r Record) MarshalLine() ([]byte, error) {
	return nil, vam.Errorf(vam.Internal, "not written yet")
}

// LeafHash is SHA-256(0x00 || line), RFC 6962 section 2.1.
func LeafHash(line []byte) Hash { return tlog.RecordHash(line) }
