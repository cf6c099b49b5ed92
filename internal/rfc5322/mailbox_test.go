package rfc5322_test

import (
	"net/mail"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

func TestAddressTable(t *testing.T) {
	table := addressTable()
	if len(table) < 120 {
		t.Fatalf("the table has %d addresses, 120 were promised", len(table))
	}
	for _, tc := range table {
		list, err := rfc5322.ParseMailboxes(tc.value, 10)
		if tc.want == nil {
			if vam.KindOf(err) != vam.Invalid || err == nil {
				t.Errorf("%q gives %v, %v; it must be Invalid", tc.value, list, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tc.value, err)
			continue
		}
		got := []string{}
		for _, m := range list {
			s := m.Addr.String()
			if m.Name != "" {
				s = m.Name + "|" + s
			}
			got = append(got, s)
			for i := range len(string(m.Addr.Domain)) {
				if m.Addr.Domain[i] >= 0x80 {
					t.Errorf("%q: the domain %q is not in A-labels", tc.value, m.Addr.Domain)
				}
			}
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%q: %s", tc.value, d)
		}
	}
}

func TestParseMailbox(t *testing.T) {
	got, err := rfc5322.ParseMailbox("Alice <alice@a.example>")
	if err != nil || got.String() != "Alice <alice@a.example>" {
		t.Errorf("%v, %v", got, err)
	}
	for _, s := range []string{"a@a.example, b@b.example", "G: a@a.example;", "G:;", ""} {
		if m, err := rfc5322.ParseMailbox(s); err == nil {
			t.Errorf("%q gives %v", s, m)
		}
	}
	if _, err := rfc5322.ParseMailboxes("a@a.example,b@b.example,c@c.example", 2); vam.KindOf(err) != vam.TooLarge {
		t.Errorf("over the limit: %v", err)
	}
}

func TestMailboxString(t *testing.T) {
	addr := vam.Address{Local: "a", Domain: "a.example"}
	for name, want := range map[string]string{
		"":                "a@a.example",
		"Alice":           "Alice <a@a.example>",
		"Alice Smith":     "Alice Smith <a@a.example>",
		"Smith, Alice":    `"Smith, Alice" <a@a.example>`,
		`a "b" \c`:        `"a \"b\" \\c" <a@a.example>`,
		"Jürgen":          "=?utf-8?q?J=C3=BCrgen?= <a@a.example>",
		"日本":              "=?utf-8?b?5pel5pys?= <a@a.example>",
		"=?utf-8?q?x?=":   "=?utf-8?b?PT91dGYtOD9xP3g/PQ==?= <a@a.example>",
		"a\r\nBcc: x@y.z": `"a Bcc: x@y.z" <a@a.example>`,
	} {
		if got := (rfc5322.Mailbox{Name: name, Addr: addr}).String(); got != want {
			t.Errorf("%q is written %q, want %q", name, got, want)
		}
	}
}

// What is accepted is written and read back as itself, and the standard library,
// where it accepts the same bytes, sees the same addresses in them.
func FuzzMailboxes(f *testing.F) {
	for _, tc := range addressTable() {
		f.Add(tc.value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		list, err := rfc5322.ParseMailboxes(value, 20)
		if err != nil {
			return
		}
		var written []string
		for _, m := range list {
			written = append(written, m.String())
			one, err := rfc5322.ParseMailbox(m.String())
			if err != nil || one != m {
				t.Fatalf("%+v is written %q and reads back as %+v (%v)", m, m, one, err)
			}
		}
		if len(list) > 0 {
			again, err := rfc5322.ParseMailboxes(strings.Join(written, ", "), 20)
			if err != nil || !cmp.Equal(again, list) {
				t.Fatalf("%v reads back as %v (%v)", list, again, err)
			}
		}
		std, err := mail.ParseAddressList(value)
		if err != nil {
			return
		}
		if len(std) != len(list) {
			t.Fatalf("%d addresses here, %d for net/mail, in %q", len(list), len(std), value)
		}
		for i, a := range std {
			at := strings.LastIndexByte(a.Address, '@')
			if a.Address[:at] != list[i].Addr.Local {
				t.Fatalf("%q: local part %q here, %q for net/mail", value, list[i].Addr.Local, a.Address[:at])
			}
			domain := a.Address[at+1:]
			if isASCII(domain) && !strings.EqualFold(domain, string(list[i].Addr.Domain)) {
				t.Fatalf("%q: domain %q here, %q for net/mail", value, list[i].Addr.Domain, domain)
			}
		}
	})
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}
