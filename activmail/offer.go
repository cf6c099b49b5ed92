package activmail

import (
	"crypto/ed25519"
	"time"
	"unicode/utf8"

	"github.com/videoactivmail/vam"
)

// OfferType is the media type of an offer.
const OfferType = "application/vnd.vam.offer+json"

// Offer tells a recipient's domain that a message waits at its origin (AM-6.4).
type Offer struct {
	MessageID vam.MessageID
	Origin    vam.Domain
	ID        vam.MessageID // names this offer; several offers of one message differ here
	Key       ed25519.PublicKey
	Kind      vam.Kind
	State     vam.State // Live or Sealed
	// Size is the length of the main track; of a live message so far, 0 is not known.
	Size vam.Bytes
	// Duration is that of the main track; 0 is not known.
	Duration time.Duration
	Envelope Envelope
	// Mail is the RFC 5322 mail; a longer one is named by MailRef instead.
	Mail    []byte
	MailRef *BlobRef
	// Log is the head of the log, lines without LF. Checkpoint is over exactly these,
	// also if there are none.
	Log          [][]byte
	Checkpoint   []byte
	Token        Token
	TokenExpires time.Time // whole seconds
	// Forwards are the messages that this one was forwarded from, oldest first.
	Forwards []MessageRef
}

// Envelope is who sends to whom under which conditions. Times are in whole seconds.
type Envelope struct {
	From      vam.Address   // zero is the null reverse-path
	To        []vam.Address // all of one domain
	DeliverBy time.Time     // zero is the server's own horizon
	NotBefore time.Time     // zero is at once
	Auto      bool          // made by a program: never answered automatically (RFC 3834)
}

// BlobRef names bytes.
type BlobRef struct {
	Blob   Sum
	Length vam.Bytes
}

// maxForwardsRead bounds fwd. A chain over Limits.Forwards is no fault of form: the
// recipients are rejected with 5.4.6 (AM-6.29).
const maxForwardsRead = 100

// Domain is the domain of the recipients.
func (o *Offer) Domain() vam.Domain {
	if len(o.Envelope.To) == 0 {
		return ""
	}
	return o.Envelope.To[0].Domain
}

// ParseOffer reads an offer body and checks its shape; see Validate. Errors: Invalid
// (malformed, version), TooLarge.
func ParseOffer(b []byte, limits Limits) (*Offer, error) {
	d, err := openDocument(b, limits.Offer, "offer")
	if err != nil {
		return nil, err
	}
	if err := d.version("v"); err != nil {
		return nil, err
	}
	d.require("mid", "origin", "offer", "key", "kind", "state", "env", "log", "cp", "token", "token_exp")
	o := &Offer{
		MessageID:    take(d, "mid", parsed(vam.ParseMessageID)),
		Origin:       take(d, "origin", parsed(parseDomain)),
		ID:           take(d, "offer", parsed(vam.ParseMessageID)),
		Key:          take(d, "key", parsed(ParseMessageKey)),
		Kind:         take(d, "kind", parsed(vam.ParseKind)),
		State:        vam.State(take(d, "state", decodeText)),
		Size:         take(d, "size", decodeBytes),
		Duration:     take(d, "dur", decodeSeconds),
		Envelope:     decodeEnvelope(d.object("env"), d, limits),
		Mail:         take(d, "mail", decodeBase64),
		MailRef:      decodeMailRef(d),
		Log:          list(d, "log", int(limits.OfferLog), decodeLine),
		Checkpoint:   take(d, "cp", decodeOctets),
		Token:        Token(take(d, "token", parsed(ParsePullToken))),
		TokenExpires: take(d, "token_exp", decodeTime),
		Forwards:     list(d, "fwd", maxForwardsRead, parsed(ParseMessageRef)),
	}
	if d.err == nil && o.State == vam.Sealed {
		d.require("size")
	}
	if d.err == nil && d.has("mail") == d.has("mail_ref") {
		d.fail("mail", `or the member "mail_ref" must be there, and not both`)
	}
	if d.err == nil {
		d.err = o.Validate(limits)
	}
	if d.err != nil {
		return nil, d.err
	}
	return o, nil
}

func decodeEnvelope(e, parent *document, limits Limits) Envelope {
	if parent.err != nil {
		return Envelope{}
	}
	e.require("from", "to")
	env := Envelope{
		From:      take(e, "from", parsed(parseReversePath)),
		To:        list(e, "to", limits.Recipients, parsed(ParseAddress)),
		DeliverBy: take(e, "deliver_by", decodeTime),
		NotBefore: take(e, "not_before", decodeTime),
		Auto:      take(e, "auto", decodeBool),
	}
	parent.err = e.err
	return env
}

func parseReversePath(s string) (vam.Address, error) {
	if s == "" {
		return vam.Address{}, nil
	}
	return ParseAddress(s)
}

func decodeMailRef(d *document) *BlobRef {
	if !d.has("mail_ref") || d.err != nil {
		return nil
	}
	r := d.object("mail_ref")
	if d.err != nil {
		return nil
	}
	r.require("b", "l")
	ref := &BlobRef{Blob: take(r, "b", decodeSum), Length: take(r, "l", decodeBytes)}
	d.err = r.err
	return ref
}

func decodeLine(raw []byte) ([]byte, string) {
	b, why := decodeOctets(raw)
	if why != "" {
		why = "has an element that is not a string"
	}
	return b, why
}

// decodeOctets is decodeText for what is kept as octets; it always copies, because the
// document may be a buffer that is used again.
func decodeOctets(raw []byte) ([]byte, string) {
	s, why := decodeText(raw)
	return []byte(s), why
}

// Validate checks the shape alone: no signature, DNS or policy is looked at, and the
// log lines are checked by OpenLog. A Size over Limits.Message is no fault of form: the
// recipients are rejected with 5.3.4 (AM-10.4). Errors: Invalid, TooLarge.
func (o *Offer) Validate(limits Limits) error {
	if o.State != vam.Live && o.State != vam.Sealed {
		return malformed("the offer's state is %s; live or sealed is wanted", quoteShort([]byte(o.State)))
	}
	if len(o.Key) != ed25519.PublicKeySize {
		return malformed("the offer's message key has %d octets, not 32", len(o.Key))
	}
	if o.Duration < 0 || o.Size < 0 || o.TokenExpires.IsZero() || len(o.Checkpoint) == 0 {
		return malformed("the offer has a negative size or duration, or no checkpoint, or a token without end")
	}
	if err := o.Envelope.validate(limits); err != nil {
		return err
	}
	return o.bound(limits)
}

func (e Envelope) validate(limits Limits) error {
	if len(e.To) == 0 {
		return malformed("the offer has no recipient")
	}
	if len(e.To) > limits.Recipients {
		return vam.Errorf(vam.TooLarge, "the offer has %d recipients; the limit here is %d", len(e.To), limits.Recipients).WithProblem("too-large")
	}
	seen := make(map[string]bool, len(e.To))
	for _, a := range e.To {
		if a.IsZero() || a.Domain != e.To[0].Domain {
			return malformed("the offer has recipients of several domains; each domain gets its own")
		}
		if seen[a.Key()] {
			return malformed("the offer has the recipient %s twice", a)
		}
		seen[a.Key()] = true
	}
	return nil
}

func (o *Offer) bound(limits Limits) error {
	head := vam.Bytes(0)
	for _, line := range o.Log {
		if vam.Bytes(len(line)) > limits.Line {
			return tooLarge("log line", limits.Line)
		}
		head += vam.Bytes(len(line))
	}
	switch {
	case head > limits.OfferLog:
		return tooLarge("head of the log in the offer", limits.OfferLog)
	case vam.Bytes(len(o.Mail)) > limits.Mail:
		return tooLarge("mail in the offer", limits.Mail)
	case vam.Bytes(len(o.Checkpoint)) > limits.Checkpoint:
		return tooLarge("checkpoint", limits.Checkpoint)
	case o.MailRef == nil && len(o.Mail) == 0:
		return malformed("the offer has an empty mail")
	case o.MailRef != nil && len(o.Mail) > 0:
		return malformed("the offer has a mail and a mail_ref")
	case o.MailRef != nil && o.MailRef.Length == 0:
		return malformed("the offer names a mail of no octets")
	case o.MailRef != nil && o.MailRef.Length > limits.MailRef:
		return tooLarge("mail", limits.MailRef)
	}
	return nil
}

// OpenLog checks the lines and verifies the checkpoint, which must be over exactly them,
// under the offer's message key (AM-6.13). The returned Validator has taken the lines and
// goes on with what is pulled. Errors: Invalid, TooLarge, Corrupt
// (checkpoint-inconsistent, digest-mismatch).
func (o *Offer) OpenLog(limits Limits) (*Validator, Checkpoint, error) {
	cp, err := OpenCheckpoint(o.Checkpoint, o.Origin, o.MessageID, o.Key)
	if err != nil {
		return nil, Checkpoint{}, err
	}
	v := NewValidator(limits)
	for _, line := range o.Log {
		if _, err := v.Append(line); err != nil {
			return nil, Checkpoint{}, err
		}
	}
	if err := cp.Check(v.Tree()); err != nil {
		return nil, Checkpoint{}, err
	}
	return v, cp, nil
}

// Marshal writes the body. The bytes are stored before they are sent, and a retry
// sends the same bytes (AM-6.5). Errors: Invalid, TooLarge.
func (o *Offer) Marshal(limits Limits) ([]byte, error) {
	if err := o.Validate(limits); err != nil {
		return nil, err
	}
	if len(o.Forwards) > limits.Forwards {
		return nil, vam.Errorf(vam.TooLarge, "the message was forwarded %d times; the limit is %d", len(o.Forwards), limits.Forwards).WithProblem("too-large")
	}
	if !utf8.Valid(o.Checkpoint) {
		return nil, malformed("the checkpoint is not UTF-8")
	}
	lines := make([]string, len(o.Log))
	for i, line := range o.Log {
		if !utf8.Valid(line) {
			return nil, malformed("line %d of the log is not UTF-8", i)
		}
		lines[i] = string(line)
	}
	w := objectWriter{b: make([]byte, 0, 4096+len(o.Mail)*4/3)}
	w.integer("v", 1)
	w.text("mid", string(o.MessageID))
	w.text("origin", string(o.Origin))
	w.text("offer", string(o.ID))
	w.base64("key", o.Key)
	w.text("kind", string(o.Kind))
	w.text("state", string(o.State))
	if o.State == vam.Sealed || o.Size > 0 {
		w.integer("size", int64(o.Size))
	}
	if o.Duration > 0 {
		w.seconds("dur", o.Duration)
	}
	w.raw("env", o.Envelope.marshal())
	if o.MailRef != nil {
		var ref objectWriter
		ref.sum("b", o.MailRef.Blob)
		ref.integer("l", int64(o.MailRef.Length))
		w.raw("mail_ref", ref.end())
	} else {
		w.base64("mail", o.Mail)
	}
	w.texts("log", lines)
	w.text("cp", string(o.Checkpoint))
	w.text("token", string(o.Token))
	w.time("token_exp", o.TokenExpires)
	if len(o.Forwards) > 0 {
		w.texts("fwd", stringsOf(o.Forwards))
	}
	body := w.end()
	// The reader is the one place that knows every rule of the members.
	if _, err := ParseOffer(body, limits); err != nil {
		return nil, err
	}
	return body, nil
}

func (e Envelope) marshal() []byte {
	var w objectWriter
	w.text("from", e.From.String())
	w.texts("to", stringsOf(e.To))
	w.time("deliver_by", e.DeliverBy)
	w.time("not_before", e.NotBefore)
	if e.Auto {
		w.raw("auto", []byte("true"))
	}
	return w.end()
}

func stringsOf[T interface{ String() string }](vs []T) []string {
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = v.String()
	}
	return out
}
