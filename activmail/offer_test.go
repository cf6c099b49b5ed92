package activmail_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// goodOffer is a sound offer of a short file.
func goodOffer(t testing.TB) *activmail.Offer {
	t.Helper()
	lines := exampleLines()
	return &activmail.Offer{
		MessageID: mid, Origin: origin, ID: offerID, Key: publicOf(messageKey), Kind: vam.File, State: vam.Live,
		Envelope: activmail.Envelope{From: vam.Address{Local: "alice", Domain: origin}, To: []vam.Address{{Local: "bob", Domain: "b.example"}}},
		Mail:     []byte("From: alice@a.example\r\n\r\nHi.\r\n"), Log: lines, Checkpoint: signedOver(t, lines),
		Token: token(1), TokenExpires: time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC),
	}
}

// genOffer makes offers of every shape.
func genOffer(base *activmail.Offer) *rapid.Generator[*activmail.Offer] {
	return rapid.Custom(func(t *rapid.T) *activmail.Offer {
		maybe := func(name string) bool { return rapid.Bool().Draw(t, name) }
		o := &activmail.Offer{
			MessageID: genID().Draw(t, "mid"), Origin: genDomain().Draw(t, "origin"), ID: genID().Draw(t, "offer"), Key: base.Key,
			Kind:  rapid.SampledFrom([]vam.Kind{vam.Video, vam.Voice, vam.File}).Draw(t, "kind"),
			State: rapid.SampledFrom([]vam.State{vam.Live, vam.Sealed}).Draw(t, "state"),
			Size:  genBytes(maxCount).Draw(t, "size"), Duration: genSeconds().Draw(t, "duration"),
			Checkpoint: base.Checkpoint, Token: token(rapid.Byte().Draw(t, "token")), TokenExpires: genTime().Filter(func(x time.Time) bool { return !x.IsZero() }).Draw(t, "expires"),
		}
		to := genDomain().Draw(t, "to")
		o.Envelope.To = rapid.SliceOfNDistinct(genAddress(to), 1, 5, func(a vam.Address) string { return a.Key() }).Draw(t, "recipients")
		if maybe("from") {
			o.Envelope.From = genAddress(o.Origin).Draw(t, "from")
		}
		if maybe("conditions") {
			o.Envelope.DeliverBy, o.Envelope.NotBefore, o.Envelope.Auto = genTime().Draw(t, "deliver by"), genTime().Draw(t, "not before"), true
		}
		if maybe("by reference") {
			o.MailRef = &activmail.BlobRef{Blob: genSum().Draw(t, "blob"), Length: 1 + genBytes(int64(vam.MiB)).Draw(t, "length")}
		} else {
			o.Mail = rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "mail")
		}
		o.Log = base.Log[:rapid.IntRange(0, len(base.Log)).Draw(t, "lines")]
		for range rapid.IntRange(0, 5).Draw(t, "forwards") {
			o.Forwards = append(o.Forwards, activmail.MessageRef{Origin: genDomain().Draw(t, "fwd"), MessageID: genID().Draw(t, "fwd id")})
		}
		return o
	})
}

// TestOfferComesBack: what is written is read as the same, octets of lines, mail and
// checkpoint included (AM-1.14, AM-6.4).
func TestOfferComesBack(t *testing.T) {
	base := goodOffer(t)
	rapid.Check(t, func(t *rapid.T) {
		want := genOffer(base).Draw(t, "offer")
		body, err := want.Marshal(activmail.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		got, err := activmail.ParseOffer(body, activmail.DefaultLimits())
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s:\n%s", body, diff)
		}
		if got.Domain() != want.Envelope.To[0].Domain {
			t.Fatalf("the offer is for %s", got.Domain())
		}
		if again, err := got.Marshal(activmail.DefaultLimits()); err != nil || !bytes.Equal(again, body) {
			t.Fatalf("the second time it is\n%s\nnot\n%s\n(%v)", again, body, err)
		}
	})
}

// TestOfferKeepsItsOctets: the body may be a buffer that is used again.
func TestOfferKeepsItsOctets(t *testing.T) {
	want := goodOffer(t)
	body, err := want.Marshal(activmail.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	got, err := activmail.ParseOffer(body, activmail.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	for i := range body {
		body[i] = 'x'
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestOfferRefused changes one thing of a sound offer; Marshal, Validate and ParseOffer must
// agree that it is wrong (AM-6.4, AM-10.6 to AM-10.9).
func TestOfferRefused(t *testing.T) {
	bob := vam.Address{Local: "bob", Domain: "b.example"}
	big := exampleLines()[0]
	for _, tc := range []struct {
		name    string
		change  func(o *activmail.Offer)
		kind    vam.ErrorKind
		problem string
	}{
		{"no id", func(o *activmail.Offer) { o.MessageID = "" }, vam.Invalid, "malformed"},
		{"an id that is none", func(o *activmail.Offer) { o.ID = "x" }, vam.Invalid, "malformed"},
		{"no origin", func(o *activmail.Offer) { o.Origin = "" }, vam.Invalid, "malformed"},
		{"origin in upper case", func(o *activmail.Offer) { o.Origin = "A.example" }, vam.Invalid, "malformed"},
		{"no key", func(o *activmail.Offer) { o.Key = nil }, vam.Invalid, "malformed"},
		{"short key", func(o *activmail.Offer) { o.Key = o.Key[:31] }, vam.Invalid, "malformed"},
		{"no kind", func(o *activmail.Offer) { o.Kind = "" }, vam.Invalid, "malformed"},
		{"a draft", func(o *activmail.Offer) { o.State = vam.Draft }, vam.Invalid, "malformed"},
		{"negative size", func(o *activmail.Offer) { o.Size = -1 }, vam.Invalid, "malformed"},
		{"size over 2^53-1", func(o *activmail.Offer) { o.Size = 1 << 53 }, vam.Invalid, "malformed"},
		{"negative duration", func(o *activmail.Offer) { o.Duration = -1 }, vam.Invalid, "malformed"},
		{"too long a duration", func(o *activmail.Offer) { o.Duration = 10_000_000 * time.Second }, vam.Invalid, "malformed"},
		{"no recipient", func(o *activmail.Offer) { o.Envelope.To = nil }, vam.Invalid, "malformed"},
		{"an empty recipient", func(o *activmail.Offer) { o.Envelope.To = []vam.Address{{}} }, vam.Invalid, "malformed"},
		{"two domains", func(o *activmail.Offer) {
			o.Envelope.To = append(o.Envelope.To, vam.Address{Local: "x", Domain: "c.example"})
		}, vam.Invalid, "malformed"},
		{"a recipient twice", func(o *activmail.Offer) {
			o.Envelope.To = append(o.Envelope.To, vam.Address{Local: "BOB", Domain: "b.example"})
		}, vam.Invalid, "malformed"},
		{"no mail", func(o *activmail.Offer) { o.Mail = nil }, vam.Invalid, "malformed"},
		{"two mails", func(o *activmail.Offer) { o.MailRef = &activmail.BlobRef{Length: 1} }, vam.Invalid, "malformed"},
		{"a mail of no octets", func(o *activmail.Offer) { o.Mail, o.MailRef = nil, &activmail.BlobRef{} }, vam.Invalid, "malformed"},
		{"no checkpoint", func(o *activmail.Offer) { o.Checkpoint = nil }, vam.Invalid, "malformed"},
		{"a checkpoint that is no text", func(o *activmail.Offer) { o.Checkpoint = []byte("\xff") }, vam.Invalid, "malformed"},
		{"a line that is no text", func(o *activmail.Offer) { o.Log = [][]byte{[]byte("{\xff}")} }, vam.Invalid, "malformed"},
		{"no token", func(o *activmail.Offer) { o.Token = "" }, vam.Invalid, "malformed"},
		{"a device token", func(o *activmail.Offer) { o.Token = activmail.NewDeviceToken() }, vam.Invalid, "malformed"},
		{"a token without end", func(o *activmail.Offer) { o.TokenExpires = time.Time{} }, vam.Invalid, "malformed"},
		{"a forward of nothing", func(o *activmail.Offer) { o.Forwards = []activmail.MessageRef{{}} }, vam.Invalid, "malformed"},
		{"101 recipients", func(o *activmail.Offer) {
			for i := range 100 {
				o.Envelope.To = append(o.Envelope.To, vam.Address{Local: fmt.Sprint("u", i), Domain: bob.Domain})
			}
		}, vam.TooLarge, "too-large"},
		{"mail over 700 KiB", func(o *activmail.Offer) { o.Mail = make([]byte, 700<<10+1) }, vam.TooLarge, "too-large"},
		{"mail over 64 MiB", func(o *activmail.Offer) { o.Mail, o.MailRef = nil, &activmail.BlobRef{Length: 64*vam.MiB + 1} }, vam.TooLarge, "too-large"},
		{"line over 2 KiB", func(o *activmail.Offer) { o.Log = [][]byte{bytes.Repeat([]byte("x"), 2049)} }, vam.TooLarge, "too-large"},
		{"lines over 64 KiB", func(o *activmail.Offer) {
			for n := 0; n <= 64<<10; n += len(big) {
				o.Log = append(o.Log, big)
			}
		}, vam.TooLarge, "too-large"},
		{"checkpoint over 2 KiB", func(o *activmail.Offer) { o.Checkpoint = bytes.Repeat([]byte("x"), 2049) }, vam.TooLarge, "too-large"},
		{"six forwards", func(o *activmail.Offer) {
			for range 6 {
				o.Forwards = append(o.Forwards, activmail.MessageRef{Origin: "c.example", MessageID: mid})
			}
		}, vam.TooLarge, "too-large"},
	} {
		o := goodOffer(t)
		tc.change(o)
		body, err := o.Marshal(activmail.DefaultLimits())
		if err == nil {
			t.Errorf("%s: written as %s", tc.name, body)
			continue
		}
		if fault := errorFault(err, tc.kind, tc.problem); fault != "" {
			t.Errorf("%s: %s", tc.name, fault)
		}
	}
}

// TestOfferWithinLimits: exactly what a limit says is taken (AM-10.30).
func TestOfferWithinLimits(t *testing.T) {
	for name, change := range map[string]func(o *activmail.Offer){
		"mail of 700 KiB": func(o *activmail.Offer) { o.Mail = make([]byte, 700<<10) },
		"mail of 64 MiB":  func(o *activmail.Offer) { o.Mail, o.MailRef = nil, &activmail.BlobRef{Length: 64 * vam.MiB} },
		"100 recipients": func(o *activmail.Offer) {
			for i := range 99 {
				o.Envelope.To = append(o.Envelope.To, vam.Address{Local: fmt.Sprint("u", i), Domain: "b.example"})
			}
		},
		"a size over 10 GiB":   func(o *activmail.Offer) { o.Size = 11 * vam.GiB }, // AM-10.4: told in the answer
		"64 KiB of lines":      func(o *activmail.Offer) { o.Log = repeatLine(64<<10, 2048) },
		"checkpoint of 2 KiB":  func(o *activmail.Offer) { o.Checkpoint = bytes.Repeat([]byte("x"), 2048) },
		"five forwards":        func(o *activmail.Offer) { o.Forwards = make5() },
		"the null return path": func(o *activmail.Offer) { o.Envelope.From = vam.Address{} },
	} {
		o := goodOffer(t)
		change(o)
		body, err := o.Marshal(activmail.DefaultLimits())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := activmail.ParseOffer(body, activmail.DefaultLimits()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Six forwards are read, so that the recipients can be rejected (AM-6.29).
	o := goodOffer(t)
	body, err := o.Marshal(activmail.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	six := strings.Repeat(`"c.example/`+string(mid)+`",`, 6)
	body = append(body[:len(body)-1], `,"fwd":[`+six[:len(six)-1]+`]}`...)
	if o, err = activmail.ParseOffer(body, activmail.DefaultLimits()); err != nil || len(o.Forwards) != 6 {
		t.Errorf("six forwards: %v", err)
	}
}

func repeatLine(total, each int) [][]byte {
	var out [][]byte
	for n := 0; n < total; n += each {
		out = append(out, []byte("{"+strings.Repeat(" ", each-2)+"}"))
	}
	return out
}

func make5() []activmail.MessageRef {
	out := make([]activmail.MessageRef, 5)
	for i := range out {
		out[i] = activmail.MessageRef{Origin: "c.example", MessageID: mid}
	}
	return out
}

// TestOpenLog: the checkpoint is over exactly the lines of the offer (AM-6.13), and the
// validator goes on from there.
func TestOpenLog(t *testing.T) {
	all := exampleLines()
	for n := range len(all) + 1 {
		o := goodOffer(t)
		o.Log, o.Checkpoint = all[:n], signedOver(t, all[:n])
		v, cp, err := o.OpenLog(activmail.DefaultLimits())
		if err != nil || cp.Size != int64(n) || v.Size() != cp.Size || v.Tree().Root() != cp.Root {
			t.Fatalf("%d lines: %+v, %v", n, cp, err)
		}
		if n < len(all) {
			if _, err := v.Append(all[n]); err != nil {
				t.Error(err)
			}
		}
		for m := range len(all) + 1 {
			if m != n {
				o.Checkpoint = signedOver(t, all[:m])
				_, _, err := o.OpenLog(activmail.DefaultLimits())
				wantError(t, err, vam.Corrupt, "checkpoint-inconsistent")
			}
		}
	}
	o := goodOffer(t)
	o.Log[1], o.Log[2] = o.Log[2], o.Log[1]
	_, _, err := o.OpenLog(activmail.DefaultLimits())
	wantError(t, err, vam.Corrupt, "checkpoint-inconsistent")
	o = goodOffer(t)
	o.Key = publicOf(otherKey)
	_, _, err = o.OpenLog(activmail.DefaultLimits())
	wantError(t, err, vam.Corrupt, "checkpoint-inconsistent")
	o = goodOffer(t)
	o.Log = append(o.Log, []byte(`{"k":"part"}`))
	_, _, err = o.OpenLog(activmail.DefaultLimits())
	wantError(t, err, vam.Invalid, "malformed")
}

func TestOfferDomain(t *testing.T) {
	if d := (&activmail.Offer{}).Domain(); d != "" {
		t.Errorf("an offer to nobody is for %s", d)
	}
}

// TestOffersDoNotEatMemory: a body of nothing but elements costs no more than a small
// multiple of its length (AM-10.31).
func TestOffersDoNotEatMemory(t *testing.T) {
	limits := activmail.DefaultLimits()
	for name, unit := range map[string]string{"lines": `"",`, "numbers": `1,`, "objects": `{},`, "arrays": `[],`} {
		n := (1<<20 - 200) / len(unit)
		body := []byte(`{"v":1,"log":[` + strings.Repeat(unit, n-1) + strings.TrimSuffix(unit, ",") + `],"mid":"x"}`)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := activmail.ParseOffer(body, limits); err == nil {
			t.Errorf("%s: the offer was taken", name)
		}
		runtime.ReadMemStats(&after)
		if octets := after.TotalAlloc - before.TotalAlloc; octets > 32<<20 {
			t.Errorf("%s: %d octets for a body of %d", name, octets, len(body))
		}
	}
}

// TestLetterIsBase64: the letter comes in one spelling (AM-1.9).
func TestLetterIsBase64(t *testing.T) {
	o := goodOffer(t)
	body, err := o.Marshal(activmail.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	text := base64.StdEncoding.EncodeToString(o.Mail)
	for _, bad := range []string{text + "=", "=" + text, text[:4] + `\n` + text[4:], text[:4] + `\r\n` + text[4:], text[:4] + " " + text[4:], strings.TrimRight(text, "="), "*" + text[1:]} {
		if bad == text {
			continue
		}
		changed := bytes.Replace(body, []byte(text), []byte(bad), 1)
		_, err := activmail.ParseOffer(changed, activmail.DefaultLimits())
		wantError(t, err, vam.Invalid, "malformed")
	}
}
