package activmail

import (
	"time"

	"github.com/videoactivmail/vam"
)

// Limits bounds everything that a peer may send (AM-10). A zero field means
// "nothing is allowed", so start from [DefaultLimits] and change what differs. A
// Limits value is never changed by this package and may be shared.
type Limits struct {
	// Line is the longest log line without its LF; default 2 KiB (AM-10.1).
	Line vam.Bytes
	// Lines is the greatest number of lines of one log; default 200,000, which is
	// about 5.5 hours in parts of 100 ms (AM-10.2).
	Lines int64
	// Tracks is the greatest number of tracks, the main one included; default 16
	// (AM-10.11).
	Tracks int
	// Part is the longest blob of an init or part record; default 4 MiB (AM-10.3).
	Part vam.Bytes
	// Poster is the longest poster image; default 1 MiB.
	Poster vam.Bytes
	// Text is the longest caption or transcript; default 1 MiB.
	Text vam.Bytes
	// Message is the greatest sum of all blobs of one message; default 10 GiB (AM-10.4).
	Message vam.Bytes

	// Offer is the longest offer body; default 1 MiB (AM-10.5).
	Offer vam.Bytes
	// Mail is the longest RFC 5322 mail inside an offer, before base64; default
	// 700 KiB (AM-10.6). A longer one travels as a MailRef.
	Mail vam.Bytes
	// MailRef is the longest mail that is named by hash and length; default 64 MiB
	// (AM-10.7).
	MailRef vam.Bytes
	// OfferLog is the greatest sum of the log lines inside an offer; default 64 KiB
	// (AM-10.8).
	OfferLog vam.Bytes
	// Recipients is the greatest number of recipients in one offer; default 100 (AM-10.9).
	Recipients int
	// Forwards is the longest chain of forwards; default 5 (AM-10.10). A longer one is read, and its
	// recipients are rejected.
	Forwards int

	// Checkpoint is the longest checkpoint text; default 2 KiB (AM-10.12).
	Checkpoint vam.Bytes
	// Document is the longest policy, receipt, problem or answer; default 64 KiB
	// (AM-10.13).
	Document vam.Bytes
	// ProofHashes is the greatest number of hashes in a proof; default 64, more than
	// any tree of 2^63 leaves needs (AM-10.14).
	ProofHashes int
}

// DefaultLimits are the limits that a server announces when its operator changed
// nothing, and the least that a conforming server accepts (AM-10.30).
func DefaultLimits() Limits {
	return Limits{
		Line:        2 * vam.KiB,
		Lines:       200_000,
		Tracks:      16,
		Part:        4 * vam.MiB,
		Poster:      vam.MiB,
		Text:        vam.MiB,
		Message:     10 * vam.GiB,
		Offer:       vam.MiB,
		Mail:        700 * vam.KiB,
		MailRef:     64 * vam.MiB,
		OfferLog:    64 * vam.KiB,
		Recipients:  100,
		Forwards:    5,
		Checkpoint:  2 * vam.KiB,
		Document:    64 * vam.KiB,
		ProofHashes: 64,
	}
}

// Durations of the protocol that are the same for every server.
const (
	// FilePart is the part length of a plain file, the last part excepted (AM-4.12).
	FilePart = vam.MiB
	// MaxSkew is how far a peer's clock may be off (AM-3.6).
	MaxSkew = time.Minute
	// MaxSignatureLife is the greatest distance from created to expires (AM-3.6).
	MaxSignatureLife = 5 * time.Minute
	// MaxTokenLife is how long a pull token lives at most (AM-7.2) (AM-10.19).
	MaxTokenLife = 7 * 24 * time.Hour
	// MaxHold is when a held offer lapses (AM-8.4).
	MaxHold = 14 * 24 * time.Hour
	// MaxWait is the longest Prefer: wait that a server honours (AM-7.5).
	MaxWait = 25 * time.Second
)
