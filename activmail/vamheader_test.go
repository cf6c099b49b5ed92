package activmail_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

func genMessageHeader() *rapid.Generator[activmail.MessageHeader] {
	return rapid.Custom(func(t *rapid.T) activmail.MessageHeader {
		h := activmail.MessageHeader{ID: genID().Draw(t, "id"), Origin: genDomain().Draw(t, "origin"), Key: publicOf(keyOf(rapid.String().Draw(t, "key")))}
		if rapid.Bool().Draw(t, "sealed") {
			h.Sealed = true
			h.Checkpoint = activmail.Checkpoint{Size: rapid.Int64Range(1, 1<<48).Draw(t, "n"), Root: genHash().Draw(t, "root")}
			h.Bytes, h.Duration = genBytes(maxCount).Draw(t, "bytes"), genSeconds().Draw(t, "duration")
		}
		return h
	})
}

// TestMessageHeaderComesBack, also when a mail program folded it anywhere between its tags
// (AM-12.2).
func TestMessageHeaderComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genMessageHeader().Draw(t, "header")
		value := want.String()
		if len(value) > 1024 {
			t.Fatalf("%d octets: %s", len(value), value)
		}
		if got, err := activmail.ParseMessageHeader(value); err != nil || cmp.Diff(want, got) != "" {
			t.Fatalf("%s: %v\n%s", value, err, cmp.Diff(want, got))
		}
		var folded strings.Builder
		for i, tag := range strings.Split(value, "; ") {
			if i > 0 {
				folded.WriteString(rapid.SampledFrom([]string{";", "; ", ";\r\n ", " ;\t", ";\r\n\t \r\n "}).Draw(t, "fold"))
			}
			folded.WriteString(strings.Replace(tag, "=", rapid.SampledFrom([]string{"=", " = ", "=\r\n ", "\t="}).Draw(t, "equals"), 1))
		}
		folded.WriteString(rapid.SampledFrom([]string{"", ";", "; ", " "}).Draw(t, "end"))
		if got, err := activmail.ParseMessageHeader(folded.String()); err != nil || cmp.Diff(want, got) != "" {
			t.Fatalf("%q: %v\n%s", folded.String(), err, cmp.Diff(want, got))
		}
	})
}

// TestBinds: a letter belongs to one offer (AM-12.4).
func TestBinds(t *testing.T) {
	o := goodOffer(t)
	o.State, o.Size = vam.Sealed, 15
	header := func(change func(h *activmail.MessageHeader)) activmail.MessageHeader {
		h := activmail.MessageHeader{ID: mid, Origin: origin, Key: publicOf(messageKey), Sealed: true, Checkpoint: activmail.Checkpoint{Size: 5}, Bytes: 15}
		change(&h)
		return h
	}
	for name, change := range map[string]func(h *activmail.MessageHeader){
		"the same": func(*activmail.MessageHeader) {}, "written while live": func(h *activmail.MessageHeader) { h.Sealed, h.Bytes = false, 0 },
	} {
		if err := header(change).Binds(o); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(h *activmail.MessageHeader){
		"another id": func(h *activmail.MessageHeader) { h.ID = offerID }, "another origin": func(h *activmail.MessageHeader) { h.Origin = "b.example" },
		"another key": func(h *activmail.MessageHeader) { h.Key = publicOf(otherKey) }, "no key": func(h *activmail.MessageHeader) { h.Key = nil }, "another size": func(h *activmail.MessageHeader) { h.Bytes = 16 },
	} {
		if fault := errorFault(header(change).Binds(o), vam.Denied, "policy"); fault != "" {
			t.Errorf("%s: %s", name, fault)
		}
	}
}

func TestRequestKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		domain := genDomain().Draw(t, "domain")
		selector := strings.Join(rapid.SliceOfN(genLabel(), 1, 3).Draw(t, "selector"), ".")
		name := activmail.RequestKeyName(selector, domain)
		if got, err := activmail.RequestKeyDomain(name); err != nil || got != domain {
			t.Fatalf("%s is a key of %q (%v)", name, got, err)
		}
		key := publicOf(keyOf(string(domain)))
		record := activmail.FormatRequestKey(key)
		if got, err := activmail.ParseRequestKey(record); err != nil || !got.Equal(key) {
			t.Fatalf("%s: %v", record, err)
		}
	})
	// A withdrawn key is refused for good (AM-2.30).
	_, err := activmail.ParseRequestKey(activmail.FormatRequestKey(nil))
	wantError(t, err, vam.Unauthenticated, "signature-invalid")
	if err == nil || !strings.Contains(err.Error(), "withdrawn") {
		t.Errorf("the error does not say that the key was withdrawn: %v", err)
	}
	_, err = activmail.RequestKeyDomain(strings.Repeat("a.", 100) + "a._domainkey." + strings.Repeat("b.", 30) + "example")
	wantError(t, err, vam.Unauthenticated, "signature-invalid")
	_, err = activmail.ParseRequestKey("v=DKIM1; k=ed25519; s=vam; p=" + activmail.FormatMessageKey(publicOf(messageKey)) + "; n=" + strings.Repeat("x", 1024))
	wantError(t, err, vam.Unauthenticated, "signature-invalid")
}
