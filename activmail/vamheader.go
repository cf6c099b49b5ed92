package activmail

import (
	"crypto/ed25519"
	"strconv"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
)

// MessageHeaderName is the one mail header of VAM/1.
const MessageHeaderName = "VAM-Message"

// MessageHeader is the value of a VAM-Message header: it binds a mail to a message log.
// It is a tag list as in DKIM, because mail software parses those already.
type MessageHeader struct {
	ID     vam.MessageID
	Origin vam.Domain
	Key    ed25519.PublicKey
	// Checkpoint, Bytes and Duration (0 is not known) are of a log that was sealed
	// when the mail was made; Sealed says so.
	Sealed     bool
	Checkpoint Checkpoint
	Bytes      vam.Bytes
	Duration   time.Duration
}

// maxMessageHeader is the longest value after unfolding, in octets (AM-12.2).
const maxMessageHeader = 1024

// ParseMessageHeader reads a header value, folded or not. Unknown tags are ignored.
// Errors: Invalid (malformed, version), TooLarge.
func ParseMessageHeader(value string) (MessageHeader, error) {
	tags, err := parseTags(value, MessageHeaderName+" header", maxMessageHeader)
	if err != nil {
		return MessageHeader{}, err
	}
	if v, ok := lookup(tags, "v"); !ok {
		return MessageHeader{}, malformed("the VAM-Message header has no tag v")
	} else if v != "1" {
		return MessageHeader{}, vam.Errorf(vam.Invalid, "the VAM-Message header is of version %s and this server knows version 1", quoteShort([]byte(v))).WithProblem("version")
	}
	h := MessageHeader{}
	var errs [3]error
	id, _ := lookup(tags, "id")
	h.ID, errs[0] = vam.ParseMessageID(id)
	origin, _ := lookup(tags, "o")
	h.Origin, errs[1] = parseDomain(origin)
	key, _ := lookup(tags, "k")
	h.Key, errs[2] = ParseMessageKey(key)
	for i, name := range []string{"id", "o", "k"} {
		if errs[i] != nil {
			return MessageHeader{}, malformed("the tag %s of the VAM-Message header is missing or wrong: %s", name, vam.Public(errs[i]))
		}
	}
	if err := h.parseSealed(tags); err != nil {
		return MessageHeader{}, err
	}
	return h, nil
}

// parseSealed reads n, r, s and d: the first three come together, and d only with them.
func (h *MessageHeader) parseSealed(tags []tag) error {
	n, hasN := lookup(tags, "n")
	r, hasR := lookup(tags, "r")
	s, hasS := lookup(tags, "s")
	d, hasD := lookup(tags, "d")
	if hasN != hasR || hasN != hasS || hasD && !hasN {
		return malformed("the tags n, r and s of the VAM-Message header come together, and d only with them")
	}
	if !hasN {
		return nil
	}
	size, why1 := decodeInteger([]byte(n))
	bytes, why2 := decodeInteger([]byte(s))
	root, err := parseBase64(r)
	if why1 != "" || why2 != "" || err != nil || len(root) != len(Hash{}) || size < 1 || size > maxTreeSize {
		return malformed("the tag n, r or s of the VAM-Message header is wrong")
	}
	if hasD {
		var ok bool
		if h.Duration, ok = parseSeconds(d); !ok {
			return malformed("the tag d of the VAM-Message header is not decimal seconds")
		}
	}
	h.Sealed, h.Checkpoint, h.Bytes = true, Checkpoint{size, Hash(root)}, vam.Bytes(bytes)
	return nil
}

// String writes the value on one line; the mail writer folds it at the semicolons.
func (h MessageHeader) String() string {
	var b strings.Builder
	b.WriteString("v=1; id=" + string(h.ID) + "; o=" + string(h.Origin) + "; k=" + FormatMessageKey(h.Key))
	if h.Sealed {
		b.WriteString("; n=" + strconv.FormatInt(h.Checkpoint.Size, 10) + "; r=" + h.Checkpoint.Root.String() +
			"; s=" + strconv.FormatInt(int64(h.Bytes), 10))
		if h.Duration > 0 {
			b.WriteString("; d=" + string(appendSeconds(nil, h.Duration)))
		}
	}
	return b.String()
}

// Binds checks that the header is that of the offer: id, origin and key are equal
// (AM-12.4), and the header does not promise another sealed size (AM-12.9). That the
// origin may speak for the author is for whoever verified the letter. Errors: Denied
// (policy).
func (h MessageHeader) Binds(o *Offer) error {
	unbound := func(format string, args ...any) error {
		return vam.Errorf(vam.Denied, format, args...).WithProblem("policy")
	}
	switch {
	case h.ID != o.MessageID || h.Origin != o.Origin:
		return unbound("the mail is bound to %s/%s and the offer is for %s/%s", h.Origin, h.ID, o.Origin, o.MessageID)
	case !h.Key.Equal(o.Key):
		return unbound("the mail is bound to another message key than the offer's")
	case h.Sealed && o.State == vam.Sealed && h.Bytes != o.Size:
		return unbound("the mail says %d octets and the offer %d", int64(h.Bytes), int64(o.Size))
	}
	return nil
}
