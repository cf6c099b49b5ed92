// Package userwire is the JSON of the API for a server's own users: what their
// programs send and get. docs/api.md describes it; members are added, never changed.
package userwire

import (
	"time"

	"github.com/videoactivmail/vam"
)

// Base is the path that every resource starts with.
const Base = "/vam/v1"

// Me is GET /me.
type Me struct {
	Address vam.Address `json:"address"`
	Name    string      `json:"name,omitempty"`
	Quota   int64       `json:"quota_bytes"` // 0 is none
	Used    int64       `json:"used_bytes"`
	Limits  Limits      `json:"limits"`
}

// Limits are those of this server for one message.
type Limits struct {
	Part       int64 `json:"part_bytes"`
	Message    int64 `json:"message_bytes"`
	Lines      int64 `json:"log_lines"`
	Recipients int   `json:"recipients"`
	Text       int64 `json:"text_bytes"`
}

// Draft is PUT /m/{mid}.
type Draft struct {
	From      string    `json:"from,omitempty"`
	To        []string  `json:"to,omitempty"`
	Bcc       []string  `json:"bcc,omitempty"`
	Subject   string    `json:"subject,omitempty"`
	Text      string    `json:"text,omitempty"`
	Kind      string    `json:"kind,omitempty"` // video, voice or file; file when absent
	Name      string    `json:"name,omitempty"`
	Type      string    `json:"type,omitempty"`
	Size      int64     `json:"size,omitempty"` // octets, 0 when not known yet
	DeliverBy time.Time `json:"deliver_by,omitzero"`
	NotBefore time.Time `json:"not_before,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`
	MediaOf   string    `json:"media_of,omitempty"` // "origin/mid" of a message in the author's mailbox
}

// Piece is one blob in POST /m/{mid}/have; the answer lists those that are missing.
type Piece struct {
	Blob   string `json:"b"` // SHA-256, hex
	Length int64  `json:"l"`
	At     int64  `json:"at"` // offset in the file, -1 when not known
}

// Have is the body of POST /m/{mid}/have, Missing its answer.
type Have struct {
	Pieces []Piece `json:"pieces"`
}

// Missing lists the pieces that are to be uploaded.
type Missing struct {
	Pieces []Piece `json:"missing"`
}

// Seal is POST /m/{mid}/seal.
type Seal struct {
	SHA256 string `json:"sha256,omitempty"` // hex; checked when it is there
}

// Decline is POST /box/{origin}/{mid}/decline.
type Decline struct {
	Tell bool `json:"tell,omitempty"` // let the author know
}

// Message is what an author sees of a message, and the answer to everything that
// changes one.
type Message struct {
	ID         vam.MessageID `json:"message_id"`
	Origin     vam.Domain    `json:"origin"`
	State      vam.State     `json:"state"`
	Kind       vam.Kind      `json:"kind"`
	From       vam.Address   `json:"from"`
	Subject    string        `json:"subject,omitempty"`
	Text       string        `json:"text,omitempty"`
	Lines      int64         `json:"log_lines"`
	Bytes      int64         `json:"media_bytes"`
	Duration   float64       `json:"duration_seconds,omitempty"`
	SHA256     string        `json:"sha256,omitempty"` // once it is sealed
	Created    time.Time     `json:"created"`
	Sent       time.Time     `json:"sent,omitzero"`
	Sealed     time.Time     `json:"sealed,omitzero"`
	Expires    time.Time     `json:"expires,omitzero"`
	Recipients []Recipient   `json:"recipients,omitempty"`
}

// Recipient is where one recipient of a sent message stands.
type Recipient struct {
	Address  vam.Address        `json:"address"`
	Bcc      bool               `json:"bcc,omitempty"`
	State    vam.RecipientState `json:"state"`
	Code     string             `json:"code,omitempty"` // RFC 3463
	Text     string             `json:"text,omitempty"`
	Attempts int                `json:"attempts"`
	Next     time.Time          `json:"next_attempt,omitzero"`
	Changed  time.Time          `json:"changed"`
}

// Entry is one line of GET /box, and GET /box/{origin}/{mid} with Message.
type Entry struct {
	ID       vam.MessageID `json:"message_id"`
	Origin   vam.Domain    `json:"origin"`
	Folder   string        `json:"folder"`
	State    string        `json:"state"`
	Reason   string        `json:"reason,omitempty"`
	From     string        `json:"from"` // empty: this server itself
	To       string        `json:"to,omitempty"`
	Subject  string        `json:"subject,omitempty"`
	Kind     vam.Kind      `json:"kind"`
	Bounce   bool          `json:"bounce,omitempty"`
	Bytes    int64         `json:"media_bytes"`
	Duration float64       `json:"duration_seconds,omitempty"`
	At       time.Time     `json:"at"`
	Seen     bool          `json:"seen"`

	Rcpts []Recipient `json:"recipients,omitempty"` // of a sent message

	// The rest is of a single entry only.
	Text      string `json:"text,omitempty"`
	Available int64  `json:"available_bytes,omitempty"` // from the start on, without a gap
	Sealed    bool   `json:"sealed,omitempty"`
	SHA256    string `json:"sha256,omitempty"`
	Name      string `json:"name,omitempty"`
	Type      string `json:"type,omitempty"`
}

// Entries is GET /box.
type Entries struct {
	Entries []Entry `json:"entries"`
	Next    string  `json:"next,omitempty"` // the value of ?before= for the next page
}

// Contact is one line of GET /contacts and the body of PUT /contacts/{address}.
type Contact struct {
	Address  vam.Address `json:"address"`
	Standing string      `json:"standing"` // known or blocked
	Since    time.Time   `json:"since,omitzero"`
}

// Contacts is GET /contacts.
type Contacts struct {
	Contacts []Contact `json:"contacts"`
}
