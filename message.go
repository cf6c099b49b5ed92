package vam

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// MessageID names a message at its origin: a UUID version 7 (RFC 9562) in the
// lower-case 36-character text form, so that it sorts by time and is safe in a
// path, a file name and a header. A message is named everywhere by its origin
// domain and its MessageID together.
type MessageID string

// NewMessageID mints an id for a message made at now. It panics only when the
// system has no randomness.
func NewMessageID(now time.Time) MessageID {
	var b [16]byte
	if _, err := rand.Read(b[6:]); err != nil {
		panic(err)
	}
	ms := uint64(now.UnixMilli())
	binary.BigEndian.PutUint32(b[:4], uint32(ms>>16))
	binary.BigEndian.PutUint16(b[4:6], uint16(ms))
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	return formatUUID(b)
}

func formatUUID(b [16]byte) MessageID {
	var out [36]byte
	hex.Encode(out[0:8], b[0:4])
	hex.Encode(out[9:13], b[4:6])
	hex.Encode(out[14:18], b[6:8])
	hex.Encode(out[19:23], b[8:10])
	hex.Encode(out[24:36], b[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return MessageID(out[:])
}

// ParseMessageID accepts exactly the text form of a version 7 UUID in lower case:
// one spelling, so that equal ids are equal strings (AM-1.2). Errors: Invalid.
func ParseMessageID(s string) (MessageID, error) {
	bad := func() (MessageID, error) {
		return "", Errorf(Invalid, "%q is not a message id: a lower-case UUID version 7 is wanted", clip(s))
	}
	if len(s) != 36 || s[14] != '7' || (s[19] != '8' && s[19] != '9' && s[19] != 'a' && s[19] != 'b') {
		return bad()
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return bad()
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return bad()
			}
		}
	}
	return MessageID(s), nil
}

// Time is the moment that the id was minted, in milliseconds of resolution.
func (id MessageID) Time() time.Time {
	if len(id) != 36 {
		return time.Time{}
	}
	b, err := hex.DecodeString(string(id[0:8] + id[9:13]))
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(append([]byte{0, 0}, b...)))).UTC()
}

// Kind says what a message carries.
type Kind string

// The kinds of VAM/1.
const (
	Video Kind = "video"
	Voice Kind = "voice"
	File  Kind = "file"
)

// ParseKind returns Invalid for anything but the three kinds.
func ParseKind(s string) (Kind, error) {
	switch k := Kind(s); k {
	case Video, Voice, File:
		return k, nil
	}
	return "", Errorf(Invalid, "%q is not a message kind: video, voice or file is wanted", clip(s))
}

// State is where a message stands at its origin.
type State string

// draft → live → sealed → (expired | revoked) → purged. A message that is made
// from a finished file goes from draft to sealed; revoked is reached from any
// state after send.
const (
	Draft   State = "draft"
	Live    State = "live"
	Sealed  State = "sealed"
	Expired State = "expired"
	Revoked State = "revoked"
	Purged  State = "purged"
)

// RecipientState is where one recipient of a message stands, as its origin sees it.
type RecipientState string

// Queued → Offering → Accepted → Stored → Displayed → Played is the ordinary way.
// Held waits for the recipient's decision; Waiting is a temporary failure with a
// next attempt; Declined, Lapsed, Rejected, Failed and Withdrawn are final.
const (
	Queued    RecipientState = "queued"
	Offering  RecipientState = "offering"
	Held      RecipientState = "held"
	Accepted  RecipientState = "accepted"
	Stored    RecipientState = "stored"
	Displayed RecipientState = "displayed"
	Played    RecipientState = "played"
	Waiting   RecipientState = "waiting"
	Declined  RecipientState = "declined"
	Lapsed    RecipientState = "lapsed"
	Rejected  RecipientState = "rejected"
	Failed    RecipientState = "failed"
	Withdrawn RecipientState = "withdrawn"
)

// Final reports whether no later state is reached without a new action of a
// person. Stored is not final: receipts may still follow.
func (s RecipientState) Final() bool {
	switch s {
	case Declined, Lapsed, Rejected, Failed, Withdrawn:
		return true
	}
	return false
}

// Arrived reports whether the recipient's server has the whole message.
func (s RecipientState) Arrived() bool {
	return s == Stored || s == Displayed || s == Played
}
