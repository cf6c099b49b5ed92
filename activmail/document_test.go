package activmail_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

func genAnswer() *rapid.Generator[activmail.RecipientAnswer] {
	return rapid.Custom(func(t *rapid.T) activmail.RecipientAnswer {
		a := activmail.RecipientAnswer{
			State: rapid.SampledFrom([]activmail.AnswerState{
				activmail.AnswerAccepted, activmail.AnswerHeld, activmail.AnswerRejected, activmail.AnswerPending, activmail.AnswerDeclined, activmail.AnswerLapsed,
				activmail.AnswerStored, activmail.AnswerDisplayed, activmail.AnswerPlayed, activmail.AnswerFailed, activmail.AnswerWithdrawn,
			}).Draw(t, "state"),
			Text: genSentence().Draw(t, "text"),
		}
		if a.State == activmail.AnswerRejected || rapid.Bool().Draw(t, "with code") {
			a.Code = genCode().Draw(t, "code")
		}
		return a
	})
}

// TestAnswerComesBack (AM-6.8), in one spelling whatever the order of the map.
func TestAnswerComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := activmail.OfferAnswer{Recipients: map[vam.Address]activmail.RecipientAnswer{}}
		for _, addr := range rapid.SliceOfN(genAddress("b.example"), 0, 20).Draw(t, "recipients") {
			want.Recipients[addr] = genAnswer().Draw(t, "answer")
		}
		body, err := want.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := activmail.ParseOfferAnswer(body, activmail.DefaultLimits())
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		if again, err := got.Marshal(); err != nil || !bytes.Equal(again, body) {
			t.Fatalf("%s is written as %s (%v)", body, again, err)
		}
	})
}

func TestAnswerRefuses(t *testing.T) {
	bob := vam.Address{Local: "bob", Domain: "b.example"}
	for name, a := range map[string]activmail.RecipientAnswer{
		"no state": {}, "unknown state": {State: "maybe"}, "rejected without code": {State: activmail.AnswerRejected},
		"code of class 3": {State: activmail.AnswerHeld, Code: "3.0.0"}, "code with a leading zero": {State: activmail.AnswerHeld, Code: "5.01.1"}, "code of four digits": {State: activmail.AnswerHeld, Code: "5.1.1000"},
		"code of four parts": {State: activmail.AnswerHeld, Code: "5.1.1.1"}, "code with a sign": {State: activmail.AnswerHeld, Code: "5.+1.1"}, "code of class 55": {State: activmail.AnswerHeld, Code: "55.1.1"}, "code with an empty class": {State: activmail.AnswerHeld, Code: ".1.1"},
		"text with a line end": {State: activmail.AnswerHeld, Text: "a\nb"}, "long text": {State: activmail.AnswerHeld, Text: strings.Repeat("x", 501)}, "text of half an octet": {State: activmail.AnswerHeld, Text: "\xff"},
	} {
		body, err := activmail.OfferAnswer{Recipients: map[vam.Address]activmail.RecipientAnswer{bob: a}}.Marshal()
		if err == nil && name == "text of half an octet" {
			continue // U+FFFD stands for it; nothing is signed here
		}
		if err == nil {
			t.Errorf("%s was written as %s", name, body)
			continue
		}
		wantError(t, err, vam.Invalid, "malformed")
	}
	limits := activmail.DefaultLimits()
	limits.Recipients = 1
	_, err := activmail.ParseOfferAnswer([]byte(`{"rcpt":{"a@b.example":{"s":"held"},"b@b.example":{"s":"held"}}}`), limits)
	wantError(t, err, vam.TooLarge, "too-large")
}

func TestReceiptComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := activmail.Receipt{
			Recipient: genAddress(genDomain().Draw(t, "domain")).Draw(t, "recipient"),
			Event: rapid.SampledFrom([]activmail.ReceiptEvent{
				activmail.EventAccepted, activmail.EventDeclined, activmail.EventLapsed, activmail.EventStored, activmail.EventDisplayed,
				activmail.EventPlayed, activmail.EventFailed, activmail.EventWithdrawn, "loved-it", activmail.ReceiptEvent(strings.Repeat("x", 32)),
			}).Draw(t, "event"),
			At: genTime().Filter(func(x time.Time) bool { return !x.IsZero() }).Draw(t, "at"), Text: genSentence().Draw(t, "text"),
		}
		if want.Event == activmail.EventFailed || rapid.Bool().Draw(t, "with code") {
			want.Code = genCode().Draw(t, "code")
		}
		body, err := want.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := activmail.ParseReceipt(body, activmail.DefaultLimits())
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestReceiptRefuses(t *testing.T) {
	good := activmail.Receipt{Recipient: vam.Address{Local: "bob", Domain: "b.example"}, Event: activmail.EventStored, At: time.Unix(0, 0)}
	for name, change := range map[string]func(r *activmail.Receipt){
		"no recipient": func(r *activmail.Receipt) { r.Recipient = vam.Address{} }, "no event": func(r *activmail.Receipt) { r.Event = "" }, "no time": func(r *activmail.Receipt) { r.At = time.Time{} },
		"failed without code": func(r *activmail.Receipt) { r.Event = activmail.EventFailed }, "a code that is none": func(r *activmail.Receipt) { r.Code = "550" },
		"event in upper case": func(r *activmail.Receipt) { r.Event = "Stored" }, "long event": func(r *activmail.Receipt) { r.Event = activmail.ReceiptEvent(strings.Repeat("x", 33)) }, "text that turns the writing": func(r *activmail.Receipt) { r.Text = "a\u202eb" },
	} {
		r := good
		change(&r)
		if body, err := r.Marshal(); err == nil {
			t.Errorf("%s was written as %s", name, body)
		} else {
			wantError(t, err, vam.Invalid, "malformed")
		}
	}
}

// TestReceiptEvents: every event of AM-8.2 leads to its state, and every event may stand in
// an answer (AM-6.10).
func TestReceiptEvents(t *testing.T) {
	for event, state := range map[activmail.ReceiptEvent]vam.RecipientState{
		activmail.EventAccepted: vam.Accepted, activmail.EventDeclined: vam.Declined, activmail.EventLapsed: vam.Lapsed, activmail.EventStored: vam.Stored,
		activmail.EventDisplayed: vam.Displayed, activmail.EventPlayed: vam.Played, activmail.EventFailed: vam.Failed, activmail.EventWithdrawn: vam.Withdrawn,
	} {
		if event.State() != state || !event.Known() || !activmail.AnswerState(event).Known() {
			t.Errorf("%s leads to %q", event, event.State())
		}
	}
	for _, event := range []activmail.ReceiptEvent{"", "held", "rejected", "pending", "loved-it"} {
		if event.Known() || event.State() != "" {
			t.Errorf("%q is taken for an event", event)
		}
	}
	for _, s := range []activmail.AnswerState{activmail.AnswerHeld, activmail.AnswerRejected, activmail.AnswerPending} {
		if !s.Known() {
			t.Errorf("%s is not known", s)
		}
	}
}

// TestRecipientID: one name for all spellings of an address, another for every message
// (AM-8.7).
func TestRecipientID(t *testing.T) {
	bob := vam.Address{Local: "bob", Domain: "b.example"}
	id := activmail.RecipientID(mid, bob)
	if len(id) != 43 || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("the id is %s", id)
	}
	if activmail.RecipientID(mid, vam.Address{Local: "BOB", Domain: "b.example"}) != id {
		t.Error("Bob in capitals is somebody else")
	}
	for name, other := range map[string]string{
		"another message":   activmail.RecipientID(offerID, bob),
		"another recipient": activmail.RecipientID(mid, vam.Address{Local: "eve", Domain: "b.example"}),
		"another domain":    activmail.RecipientID(mid, vam.Address{Local: "bob", Domain: "c.example"}),
	} {
		if other == id {
			t.Errorf("%s has the same id", name)
		}
	}
}

func TestHeadComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := activmail.Head{
			MessageID: genID().Draw(t, "mid"), Origin: genDomain().Draw(t, "origin"), Kind: rapid.SampledFrom([]vam.Kind{vam.Video, vam.Voice, vam.File}).Draw(t, "kind"),
			State: rapid.SampledFrom([]vam.State{vam.Live, vam.Sealed}).Draw(t, "state"), LogSize: rapid.Int64Range(0, 200_000).Draw(t, "log"),
			Size: genBytes(int64(10*vam.GiB)).Draw(t, "size"), Duration: genSeconds().Draw(t, "duration"), Created: genTime().Filter(func(x time.Time) bool { return !x.IsZero() }).Draw(t, "at"),
			Expires: genTime().Draw(t, "expires"), Tracks: rapid.SliceOfN(genWord(), 0, 16).Draw(t, "tracks"), Checkpoint: []byte("any\ntext — \"ä\"\n"),
		}
		if rapid.Bool().Draw(t, "typed") {
			want.ContentType = genMediaType().Draw(t, "type")
		}
		body, err := want.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := activmail.ParseHead(body, activmail.DefaultLimits())
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s\n%s", body, diff)
		}
	})
}

func TestHeadLimits(t *testing.T) {
	good := activmail.Head{MessageID: mid, Origin: origin, Kind: vam.Video, State: vam.Live, Created: time.Unix(1, 0), Checkpoint: []byte("x")}
	for name, change := range map[string]func(h *activmail.Head){
		"log of 200,001 lines": func(h *activmail.Head) { h.LogSize = 200_001 },
		"over 10 GiB":          func(h *activmail.Head) { h.Size = 10*vam.GiB + 1 },
	} {
		h := good
		change(&h)
		body, err := h.Marshal() // its own limits may be greater
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = activmail.ParseHead(body, activmail.DefaultLimits())
		wantError(t, err, vam.TooLarge, "too-large")
	}
	for n, ok := range map[int]bool{2048: true, 2049: false} {
		h := good
		h.Checkpoint = bytes.Repeat([]byte("x"), n)
		if body, err := h.Marshal(); ok != (err == nil) {
			t.Errorf("a checkpoint of %d octets: %s, %v", n, body, err)
		} else if !ok {
			wantError(t, err, vam.TooLarge, "too-large")
		}
	}
	for name, change := range map[string]func(h *activmail.Head){
		"revoked":               func(h *activmail.Head) { h.State = vam.Revoked },
		"negative log":          func(h *activmail.Head) { h.LogSize = -1 },
		"no time":               func(h *activmail.Head) { h.Created = time.Time{} },
		"track with a blank":    func(h *activmail.Head) { h.Tracks = []string{"a b"} },
		"type that is none":     func(h *activmail.Head) { h.ContentType = "video" },
		"checkpoint of no text": func(h *activmail.Head) { h.Checkpoint = []byte{0xff} },
	} {
		h := good
		change(&h)
		if body, err := h.Marshal(); err == nil {
			t.Errorf("%s was written as %s", name, body)
		} else {
			wantError(t, err, vam.Invalid, "malformed")
		}
	}
}

func TestTokenGrantComesBack(t *testing.T) {
	want := activmail.TokenGrant{Token: activmail.NewPullToken(), Expires: time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)}
	body, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := activmail.ParseTokenGrant(body, activmail.DefaultLimits()); err != nil || got != want {
		t.Errorf("%s comes back as %#v (%v)", body, got, err)
	}
	request := activmail.TokenRequest{Offer: offerID}
	if body, err = request.Marshal(); err != nil {
		t.Fatal(err)
	}
	if got, err := activmail.ParseTokenRequest(body, activmail.DefaultLimits()); err != nil || got != request {
		t.Errorf("%s comes back as %+v (%v)", body, got, err)
	}
}

func TestMessageRef(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := activmail.MessageRef{Origin: genDomain().Draw(t, "origin"), MessageID: genID().Draw(t, "id")}
		got, err := activmail.ParseMessageRef(want.String())
		if err != nil || got != want {
			t.Fatalf("%s comes back as %s (%v)", want, got, err)
		}
	})
	for _, bad := range []string{"", "/", "a.example", "a.example/", "/" + string(mid), "A.example/" + string(mid), "a.example//" + string(mid), "a.example/" + string(mid) + "/", "a.example /" + string(mid)} {
		_, err := activmail.ParseMessageRef(bad)
		wantError(t, err, vam.Invalid, "malformed")
	}
}

// TestAddressHasOneSpelling (AM-1.5): what is read is what would be written.
func TestAddressHasOneSpelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genAddress(genDomain().Draw(t, "domain")).Draw(t, "address")
		got, err := activmail.ParseAddress(want.String())
		if err != nil || got != want {
			t.Fatalf("%s comes back as %s (%v)", want, got, err)
		}
	})
	for _, bad := range []string{`"bob"@b.example`, "bob@B.example", `"a\ b"@b.example`, `"\a b"@b.example`} {
		if _, err := vam.ParseAddress(bad); err != nil {
			t.Errorf("%s is no address at all: %v", bad, err)
		}
		_, err := activmail.ParseAddress(bad)
		wantError(t, err, vam.Invalid, "malformed")
	}
}
