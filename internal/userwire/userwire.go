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
	Part       int64 `json:"part_bytes"`    // of one blob
	Message    int64 `json:"message_bytes"` // of all media of a message
	Lines      int64 `json:"log_lines"`
	Recipients int   `json:"recipients"`
	Text       int64 `json:"text_bytes"`
}

// Draft is PUT /m/{mid}.
type Draft struct {
	From      string    `json:"from,omitempty"`      // an address of the account; its own when absent
	To        []string  `json:"to,omitempty"`        // with bcc at least one
	Bcc       []string  `json:"bcc,omitempty"`       // whom the others do not see
	Subject   string    `json:"subject,omitempty"`   // one line
	Text      string    `json:"text,omitempty"`      // plain
	Kind      string    `json:"kind,omitempty"`      // video, voice or file; file when absent
	Name      string    `json:"name,omitempty"`      // of the file
	Type      string    `json:"type,omitempty"`      // media type of the file
	Size      int64     `json:"size,omitempty"`      // octets, 0 when not known yet
	DeliverBy time.Time `json:"deliver_by,omitzero"` // when to give up; the server's horizon when absent
	NotBefore time.Time `json:"not_before,omitzero"` // when to begin; at once when absent
	Expires   time.Time `json:"expires,omitzero"`    // when the message goes away; never when absent
	MediaOf   string    `json:"media_of,omitempty"`  // "origin/mid" of a message in the author's mailbox
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
	Origin     vam.Domain    `json:"origin"` // with message_id the name of the message everywhere
	State      vam.State     `json:"state"`  // draft, live, sealed, expired, revoked or purged
	Kind       vam.Kind      `json:"kind"`   // video, voice or file
	From       vam.Address   `json:"from"`
	Subject    string        `json:"subject,omitempty"`
	Text       string        `json:"text,omitempty"`
	Lines      int64         `json:"log_lines"`   // where an append goes on
	Bytes      int64         `json:"media_bytes"` // that the log names
	Duration   float64       `json:"duration_seconds,omitempty"`
	SHA256     string        `json:"sha256,omitempty"` // of the media, hex, once it is sealed
	Created    time.Time     `json:"created"`
	Sent       time.Time     `json:"sent,omitzero"`   // when it was accepted
	Sealed     time.Time     `json:"sealed,omitzero"` // when nothing could be added any more
	Expires    time.Time     `json:"expires,omitzero"`
	Recipients []Recipient   `json:"recipients,omitempty"` // once it was sent
}

// Recipient is where one recipient of a sent message stands.
type Recipient struct {
	Address  vam.Address        `json:"address"`
	Bcc      bool               `json:"bcc,omitempty"`
	State    vam.RecipientState `json:"state"`          // queued, offering, held, accepted, stored, displayed, played, waiting, declined, lapsed, rejected, failed or withdrawn
	Code     string             `json:"code,omitempty"` // enhanced status code of RFC 3463
	Text     string             `json:"text,omitempty"` // why, for people
	Attempts int                `json:"attempts"`
	Next     time.Time          `json:"next_attempt,omitzero"`
	Changed  time.Time          `json:"changed"`
}

// Entry is one line of GET /box, and GET /box/{origin}/{mid} with Message.
type Entry struct {
	ID       vam.MessageID `json:"message_id"`
	Origin   vam.Domain    `json:"origin"`
	Folder   string        `json:"folder"`           // inbox or sent
	State    string        `json:"state"`            // draft, held, arriving, stored, declined, lapsed, failed, withdrawn or expired
	Reason   string        `json:"reason,omitempty"` // of the state, for people
	From     string        `json:"from"`             // of a report mailer-daemon at the domain
	To       string        `json:"to,omitempty"`     // the address that it came to
	Subject  string        `json:"subject,omitempty"`
	Kind     vam.Kind      `json:"kind"`             // video, voice or file
	Bounce   bool          `json:"bounce,omitempty"` // a report about a message of one's own; it has no media
	Bytes    int64         `json:"media_bytes"`
	Duration float64       `json:"duration_seconds,omitempty"`
	At       time.Time     `json:"at"`   // received or made
	Seen     bool          `json:"seen"` // it was looked at

	Rcpts []Recipient `json:"recipients,omitempty"` // of a sent message

	// The rest is of a single entry only.

	Text      string `json:"text,omitempty"`            // of a single entry, like what follows
	Available int64  `json:"available_bytes,omitempty"` // that are here, from the start on, without a gap
	Sealed    bool   `json:"sealed,omitempty"`          // it is complete at its author's server
	SHA256    string `json:"sha256,omitempty"`          // of the media, hex, once it is sealed
	Name      string `json:"name,omitempty"`            // of the file, once it is sealed
	Type      string `json:"type,omitempty"`            // media type of the file, once it is sealed
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

// LinkTerms is the body of POST /box/{origin}/{mid}/links.
type LinkTerms struct {
	For      string    `json:"for"`                // the address of whom the link is for
	Expires  time.Time `json:"expires,omitzero"`   // when it ends; as the server says when absent
	Password *string   `json:"password,omitempty"` // that is asked for; absent: as it was, or none; empty: no longer any
}

// Link is a link that lets somebody without an account watch a message.
type Link struct {
	ID       string    `json:"link_id"`       // names it; it opens nothing
	URL      string    `json:"url,omitempty"` // whoever has it may watch; only in the answer that makes it
	For      string    `json:"for"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitzero"`
	Revoked  time.Time `json:"revoked,omitzero"`
	Locked   bool      `json:"locked,omitempty"` // a password is asked for
	Plays    int       `json:"plays"`            // how often it was really played
	Watched  float64   `json:"watched"`          // the furthest that it was played, of 1
	LastPlay time.Time `json:"last_play,omitzero"`
}

// Links is GET /box/{origin}/{mid}/links.
type Links struct {
	Links []Link `json:"links"`
}
