package mailauth_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/mailauth"
	"github.com/videoactivmail/vam/internal/mailauth/mailauthtest"
)

// letterFrom signs a letter from author by signing, whose Signer would refuse most of
// these pairs: a verifier must not rely on that.
func letterFrom(t *testing.T, z *mailauthtest.Zone, author, signing vam.Domain) []byte {
	t.Helper()
	key := mailauthtest.Ed25519(t, z, "m1", signing)
	raw := compose(t, "alice@"+string(author), author)
	return signAs(t, key.Key.(ed25519.PrivateKey), signing, raw)
}

// TestAlignment is AM-12.8.
func TestAlignment(t *testing.T) {
	const dmarc = "v=DMARC1; p=none"
	for _, tc := range []struct {
		name            string
		author, signing vam.Domain
		records         map[string]string
		ok              bool
	}{
		{"the same domain, nothing published", "a.example", "a.example", nil, true},
		{"the same domain, strict", "a.example", "a.example", map[string]string{"a.example": dmarc + "; adkim=s"}, true},
		{"nothing published, signed above", "mail.a.example", "a.example", nil, false},
		{"nothing published, signed below", "a.example", "mail.a.example", nil, false},
		{"nothing published, siblings", "x.a.example", "y.a.example", nil, false},
		{"one record above both", "mail.a.example", "a.example", map[string]string{"a.example": dmarc}, true},
		{"signed below", "a.example", "mail.a.example", map[string]string{"a.example": dmarc}, true},
		{"siblings of one organization", "x.a.example", "y.a.example", map[string]string{"a.example": dmarc}, true},
		{"relaxed said out loud", "x.a.example", "y.a.example", map[string]string{"a.example": dmarc + "; adkim=r"}, true},
		{"strict by the organization", "x.a.example", "a.example", map[string]string{"a.example": dmarc + "; adkim=s"}, false},
		{"strict by the author domain", "x.a.example", "a.example", map[string]string{"a.example": dmarc, "x.a.example": dmarc + "; adkim=S"}, false},
		{"the author domain's own record counts first", "x.a.example", "a.example", map[string]string{"a.example": dmarc + "; adkim=s", "x.a.example": dmarc}, true},
		{"the record with the fewest labels is the organization", "z.y.x.a.example", "a.example", map[string]string{"a.example": dmarc, "x.a.example": dmarc, "z.y.x.a.example": dmarc}, true},
		{"psd=n ends the walk below", "z.x.a.example", "a.example", map[string]string{"a.example": dmarc, "x.a.example": dmarc + "; psd=n"}, false},
		{"psd=n is the organization", "z.x.a.example", "y.x.a.example", map[string]string{"a.example": dmarc, "x.a.example": dmarc + "; psd=n"}, true},
		{"psd=y: the domains below are strangers", "a.co.example", "b.co.example", map[string]string{"co.example": dmarc + "; psd=y"}, false},
		{"psd=y: one domain below is one organization", "x.a.co.example", "a.co.example", map[string]string{"co.example": dmarc + "; psd=y"}, true},
		{"psd=y: the suffix does not sign for those below", "a.co.example", "co.example", map[string]string{"co.example": dmarc + "; psd=y"}, false},
		{"psd=y: strict for those below", "x.a.co.example", "a.co.example", map[string]string{"co.example": dmarc + "; psd=y; adkim=s"}, false},
		{"psd=u is no word", "a.co.example", "b.co.example", map[string]string{"co.example": dmarc + "; psd=u"}, true},
		{"a record at the top-level domain makes no organization", "a.example", "b.example", map[string]string{"example": dmarc}, false},
		{"nor does it above a record", "x.a.example", "a.example", map[string]string{"example": dmarc, "a.example": dmarc}, true},
		{"a top-level domain with psd=y", "x.a.example", "y.a.example", map[string]string{"example": dmarc + "; psd=y"}, true},
		{"two records count as none", "x.a.example", "a.example", map[string]string{"a.example": dmarc + "\x00" + dmarc}, false},
		{"another TXT record beside it", "x.a.example", "a.example", map[string]string{"a.example": "v=spf1 -all\x00" + dmarc}, true},
		{"not a policy record", "x.a.example", "a.example", map[string]string{"a.example": "v=DMARC2; p=none"}, false},
		{"v= must come first", "x.a.example", "a.example", map[string]string{"a.example": "p=none; v=DMARC1"}, false},
		{"white space and unknown tags", "x.a.example", "a.example", map[string]string{"a.example": " v = DMARC1 ;; what=ever; = ; adkim = r"}, true},
		{"eight labels and more", "s1.s2.s3.s4.s5.s6.s7.s8.a.example", "a.example", map[string]string{"a.example": dmarc}, true},
		{"a record in the jump is not seen", "s1.s2.s3.s4.s5.s6.s7.s8.a.example", "a.example", map[string]string{"s2.s3.s4.s5.s6.s7.s8.a.example": dmarc + "; psd=n", "a.example": dmarc}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			z := &mailauthtest.Zone{}
			raw := letterFrom(t, z, tc.author, tc.signing)
			for name, text := range tc.records {
				z.Set("_dmarc."+name, strings.Split(text, "\x00")...)
			}
			v, err := verify(z, raw)
			if !tc.ok {
				refuse(t, err, vam.Denied, "author-unaligned")
				return
			}
			if err != nil || v.SigningDomain != tc.signing || v.From.Domain != tc.author {
				t.Fatalf("%+v, %v", v, err)
			}
		})
	}
}

// The walk asks at most eight questions for a domain, and each once for a mail.
func TestAlignmentQuestions(t *testing.T) {
	z := &mailauthtest.Zone{}
	raw := letterFrom(t, z, "s1.s2.s3.s4.s5.s6.s7.s8.a.example", "mail.a.example")
	z.Set("_dmarc.a.example", "v=DMARC1")
	if _, err := verify(z, raw); err != nil {
		t.Fatal(err)
	}
	var want []string
	want = append(want, "m1._domainkey.mail.a.example", "_dmarc.s1.s2.s3.s4.s5.s6.s7.s8.a.example")
	labels := []string{"s4", "s5", "s6", "s7", "s8", "a", "example"}
	for i := range labels {
		want = append(want, "_dmarc."+strings.Join(labels[i:], "."))
	}
	want = append(want, "_dmarc.mail.a.example")
	if d := cmp.Diff(want, z.Asked()); d != "" {
		t.Error(d)
	}
}

// Many passing signatures of a stranger cost a bounded number of questions.
func TestAlignmentIsBounded(t *testing.T) {
	z := &mailauthtest.Zone{}
	raw := compose(t, "alice@a.example", "a.example")
	for i := range 20 {
		signing := vam.Domain(fmt.Sprintf("%sx%d.a.example", strings.Repeat("s.", 20), i))
		key := mailauthtest.Ed25519(t, z, "m1", signing)
		raw = signAs(t, key.Key.(ed25519.PrivateKey), signing, raw)
	}
	_, err := (&mailauth.Verifier{DNS: z}).Verify(context.Background(), raw)
	refuse(t, err, vam.Denied, "author-unaligned")
	asked := z.Asked()
	if len(asked) <= mailauth.MaxSignatures {
		t.Errorf("the walks were not taken: %q", asked)
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(asked)))); n != len(asked) || n > mailauth.MaxSignatures*9+8 {
		t.Errorf("%d questions, %d different", len(asked), n)
	}
}
