package activmail

import (
	"crypto/ed25519"
	"time"

	"github.com/videoactivmail/vam"
)

// MessageHeaderName is the one mail header of VAM/1.
const MessageHeaderName = "VAM-Message"

// MessageHeader is the value of a VAM-Message header: it binds a mail to a message
// log (AM-12.2).
type MessageHeader struct {
	ID     vam.MessageID
	Origin vam.Domain
	Key    ed25519.PublicKey
	// Checkpoint, Bytes and Duration are of a sealed log; Sealed says that they are
	// there.
	Sealed     bool
	Checkpoint Checkpoint
	Bytes      vam.Bytes
	Duration   time.Duration
}

// ParseMessageHeader reads a header value, folded or not. Unknown tags are ignored.
// Errors: Invalid, TooLarge.
func ParseMessageHeader(value string) (MessageHeader, error) {
	return MessageHeader{}, vam.Errorf(vam.Internal, "not written yet")
}

// String writes the value without folding.
func (h MessageHeader) String() string { return "" }
