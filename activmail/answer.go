package activmail

import (
	"cmp"
	"slices"

	"github.com/videoactivmail/vam"
)

// AnswerState is what a recipient's domain says of one recipient: a decision on the
// offer or, later, the newest receipt event (AM-6.7, AM-6.10).
type AnswerState string

// The answer states.
const (
	AnswerAccepted  AnswerState = "accepted"
	AnswerHeld      AnswerState = "held"
	AnswerRejected  AnswerState = "rejected"
	AnswerPending   AnswerState = "pending"
	AnswerDeclined  AnswerState = "declined"
	AnswerLapsed    AnswerState = "lapsed"
	AnswerStored    AnswerState = "stored"
	AnswerDisplayed AnswerState = "displayed"
	AnswerPlayed    AnswerState = "played"
	AnswerFailed    AnswerState = "failed"
	AnswerWithdrawn AnswerState = "withdrawn"
)

// Known reports whether VAM/1 defines the state.
func (s AnswerState) Known() bool {
	switch s {
	case AnswerHeld, AnswerRejected, AnswerPending:
		return true
	}
	return ReceiptEvent(s).Known()
}

// RecipientAnswer is the answer for one recipient.
type RecipientAnswer struct {
	State AnswerState
	Code  string // RFC 3463 enhanced status code; always there when rejected
	Text  string // one sentence of at most 500 octets
}

// OfferAnswer is the body of the answer to an offer: one answer for each address of
// the envelope, as it was written there (AM-6.8).
type OfferAnswer struct {
	Recipients map[vam.Address]RecipientAnswer
}

// Marshal writes {"rcpt":{…}} with the addresses in order. Errors: Invalid.
func (a OfferAnswer) Marshal() ([]byte, error) {
	addrs := make([]vam.Address, 0, len(a.Recipients))
	for addr := range a.Recipients {
		addrs = append(addrs, addr)
	}
	slices.SortFunc(addrs, func(x, y vam.Address) int { return cmp.Compare(x.String(), y.String()) })
	rcpt := objectWriter{b: []byte{'{'}}
	for _, addr := range addrs {
		r := a.Recipients[addr]
		if err := r.validate(addr); err != nil {
			return nil, err
		}
		var w objectWriter
		w.text("s", string(r.State))
		w.optional("code", r.Code)
		w.optional("text", r.Text)
		rcpt.raw(addr.String(), w.end())
	}
	var w objectWriter
	w.raw("rcpt", rcpt.end())
	return w.end(), nil
}

func (r RecipientAnswer) validate(addr vam.Address) error {
	switch {
	case !r.State.Known():
		return malformed("the answer for %s has the state %s, which is not known", addr, quoteShort([]byte(r.State)))
	case r.State == AnswerRejected && r.Code == "":
		return malformed("the answer for %s rejects without a code", addr)
	case r.Code != "" && !isEnhancedCode(r.Code):
		return malformed("the answer for %s has the code %s, which is not of RFC 3463", addr, quoteShort([]byte(r.Code)))
	case !isSentence(r.Text):
		return malformed("the answer for %s has a text that is too long or not printable", addr)
	}
	return nil
}

// ParseOfferAnswer reads an answer. Whether every recipient of the offer is in it is
// the caller's to see. Errors: Invalid, TooLarge.
func ParseOfferAnswer(b []byte, limits Limits) (OfferAnswer, error) {
	d, err := openDocument(b, limits.Document, "answer to the offer")
	if err != nil {
		return OfferAnswer{}, err
	}
	d.require("rcpt")
	rcpt := d.object("rcpt")
	if d.err != nil {
		return OfferAnswer{}, d.err
	}
	if len(rcpt.members) > limits.Recipients {
		return OfferAnswer{}, vam.Errorf(vam.TooLarge, "the answer has %d recipients; the limit here is %d", len(rcpt.members), limits.Recipients).WithProblem("too-large")
	}
	a := OfferAnswer{Recipients: make(map[vam.Address]RecipientAnswer, len(rcpt.members))}
	for _, m := range rcpt.members {
		addr, err := ParseAddress(string(m.name))
		if err != nil {
			return OfferAnswer{}, err
		}
		one := rcpt.object(string(m.name))
		one.require("s")
		r := RecipientAnswer{
			State: AnswerState(take(one, "s", decodeText)),
			Code:  take(one, "code", decodeText),
			Text:  take(one, "text", decodeText),
		}
		if err := cmp.Or(rcpt.err, one.err, r.validate(addr)); err != nil {
			return OfferAnswer{}, err
		}
		a.Recipients[addr] = r
	}
	return a, nil
}
