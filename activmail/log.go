package activmail

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strconv"
	"time"

	"github.com/videoactivmail/vam"
)

// Entry is a record at its place in a log.
type Entry struct {
	Index  int64
	Record Record
	Leaf   Hash
	// Offset is where the blob stands in the media file; -1 for a blob that is no
	// piece of the main track and for records without blob.
	Offset vam.Bytes
}

// Validator accepts the lines of one log in order and keeps its tree. It uses memory
// for the tree's edge and one entry per track, whatever the length of the log. It is
// not safe for concurrent use. A refused line leaves it as it was.
type Validator struct {
	limits   Limits
	tree     Tree
	tracks   map[string]track
	media    vam.Bytes // main track
	total    vam.Bytes // all blobs
	identity *MediaIdentity
	seal     *Record
	revoke   *Record
	expire   *Record
}

// track is what the next record of a track must fit.
type track struct {
	init bool // began with one
	last time.Duration
}

// NewValidator starts an empty log.
func NewValidator(limits Limits) *Validator {
	return &Validator{limits: limits, tracks: make(map[string]track), identity: NewMediaIdentity()}
}

// Append parses, checks and adds one line without LF. Errors: Invalid (malformed,
// version), TooLarge, Corrupt (digest-mismatch: a seal that contradicts the parts).
func (v *Validator) Append(line []byte) (Entry, error) {
	if v.tree.size >= v.limits.Lines {
		return Entry{}, vam.Errorf(vam.TooLarge, "the log has more than the %d lines that are the limit here", v.limits.Lines).WithProblem("too-large")
	}
	r, err := ParseRecord(line, v.limits)
	if err != nil {
		return Entry{}, err
	}
	if err := v.check(r); err != nil {
		return Entry{}, err
	}
	e := Entry{Index: v.tree.size, Record: r, Leaf: LeafHash(line), Offset: -1}
	if r.IsMedia() {
		e.Offset = v.media
	}
	v.apply(r)
	v.tree.Append(e.Leaf)
	return e, nil
}

// check says whether r may come next. It changes nothing.
func (v *Validator) check(r Record) error {
	if v.revoke != nil { // AM-4.16
		return v.misplaced(r, "follows the revoke, which ends a log")
	}
	if v.seal != nil && !followsSeal(r.Kind) {
		return v.misplaced(r, "follows the seal; only text, expire and revoke may")
	}
	if r.HasBlob() && r.Length > v.limits.Message-v.total {
		return tooLarge("message", v.limits.Message)
	}
	switch r.Kind {
	case RecordInit, RecordPart:
		return v.checkTrack(r)
	case RecordSeal:
		return v.checkSeal(r)
	}
	return nil
}

// followsSeal: kinds of a later version may follow too, as they change no media (AM-4.15).
func followsSeal(k RecordKind) bool {
	return k == RecordText || k == RecordExpire || k == RecordRevoke || !k.Known()
}

// checkTrack holds AM-4.9 to AM-4.11. Parts with and without times may stand in one
// track: only those with times are compared.
func (v *Validator) checkTrack(r Record) error {
	t, begun := v.tracks[r.Track]
	if !begun && len(v.tracks) >= v.limits.Tracks {
		return vam.Errorf(vam.TooLarge, "the log has more than the %d tracks that are the limit here", v.limits.Tracks).WithProblem("too-large")
	}
	if r.Kind == RecordInit && begun && !t.init {
		return v.misplaced(r, "follows parts of the same track that had no init")
	}
	if r.Timed && r.Time < t.last {
		return v.misplaced(r, "goes back in time")
	}
	return nil
}

// checkSeal holds AM-4.14; the sum over octets that are here alone can be checked later.
func (v *Validator) checkSeal(r Record) error {
	if r.Bytes != v.media {
		return vam.Errorf(vam.Corrupt, "the seal says %d octets and the log has %d", int64(r.Bytes), int64(v.media)).WithProblem("digest-mismatch")
	}
	if r.Bytes == 0 && r.SHA256 != Sum(sha256.Sum256(nil)) {
		return vam.Errorf(vam.Corrupt, "the seal of no octets has not the hash of nothing").WithProblem("digest-mismatch")
	}
	return nil
}

func (v *Validator) misplaced(r Record, why string) error {
	return malformed("record %d (%s) %s", v.tree.size, r.Kind, why)
}

func (v *Validator) apply(r Record) {
	v.total += r.Length
	switch r.Kind {
	case RecordInit, RecordPart:
		t, begun := v.tracks[r.Track]
		if !begun {
			t.init = r.Kind == RecordInit
		}
		if r.Timed {
			t.last = r.Time
		}
		v.tracks[r.Track] = t
	case RecordSeal:
		v.seal = &r
	case RecordExpire:
		v.expire = &r
	case RecordRevoke:
		v.revoke = &r
	}
	if r.IsMedia() {
		v.media += r.Length
		v.identity.Add(r)
	}
}

// Tree is the tree over the accepted lines; do not append to it.
func (v *Validator) Tree() *Tree { return &v.tree }

// Size is the number of accepted lines.
func (v *Validator) Size() int64 { return v.tree.Size() }

// MediaBytes is the length of the main track so far, and so the offset of its next
// blob.
func (v *Validator) MediaBytes() vam.Bytes { return v.media }

// Sealed returns the seal record, if there is one.
func (v *Validator) Sealed() (Record, bool) { return deref(v.seal) }

// Revoked returns the revoke record, if there is one.
func (v *Validator) Revoked() (Record, bool) { return deref(v.revoke) }

// Expires returns the last expire record, if there is one: it holds (AM-4.17).
func (v *Validator) Expires() (Record, bool) { return deref(v.expire) }

// MediaIdentity names the main track so far; see [MediaIdentity].
func (v *Validator) MediaIdentity() Sum { return v.identity.Sum() }

func deref(r *Record) (Record, bool) {
	if r == nil {
		return Record{}, false
	}
	return *r, true
}

// MediaIdentity names media by the hashes and lengths of the pieces of its main track
// (AM-4.24):
// SHA-256 over the line "<hex blob> <length> LF" of each init and part record in order.
// Two sealed messages with one identity have the same file in the same pieces, so that
// a server which holds one need not move the other. It is not the file's own SHA-256:
// that one cannot be checked before the last octet is here.
type MediaIdentity struct {
	h   hash.Hash
	buf []byte
}

// NewMediaIdentity starts with no media.
func NewMediaIdentity() *MediaIdentity {
	return &MediaIdentity{h: sha256.New(), buf: make([]byte, 0, 96)}
}

// Add takes the next record; one that is no piece of the main track changes nothing.
func (m *MediaIdentity) Add(r Record) {
	if !r.IsMedia() {
		return
	}
	m.buf = hex.AppendEncode(m.buf[:0], r.Blob[:])
	m.buf = append(m.buf, ' ')
	m.buf = strconv.AppendInt(m.buf, int64(r.Length), 10)
	m.buf = append(m.buf, '\n')
	m.h.Write(m.buf)
}

// Sum is the identity of what was added so far.
func (m *MediaIdentity) Sum() Sum { return Sum(m.h.Sum(nil)) }
