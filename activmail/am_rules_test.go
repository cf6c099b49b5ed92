package activmail_test

import (
	"context"
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// TestKeysAreForOnePurpose is AM-2.35: the message key of an offer signs no requests, and a
// request key no checkpoints.
func TestKeysAreForOnePurpose(t *testing.T) {
	r, d := sent(t, "GET", "/x", nil)
	messageKey := publicOf(otherKey)
	_, err := activmail.VerifyRequest(r, d, func(context.Context, string) (ed25519.PublicKey, error) { return messageKey, nil }, signedAt)
	wantError(t, err, vam.Unauthenticated, "signature-invalid")
	const mid = vam.MessageID("019acf10-8a3e-7c41-9b0d-5f6c2e7a4b10")
	var tree activmail.Tree
	signed, err := activmail.SignCheckpoint(tree.Checkpoint(), "a.example", mid, otherKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := activmail.OpenCheckpoint(signed, "a.example", mid, publicOf(keyOf("a request key"))); err == nil {
		t.Error("a checkpoint of a key that is not the message's was opened")
	}
	if _, err := activmail.OpenCheckpoint(signed, "a.example", mid, messageKey); err != nil {
		t.Error(err)
	}
}

// TestPolicyAccepts is AM-2.14, AM-15.4 and AM-15.5.
func TestPolicyAccepts(t *testing.T) {
	live := []string{activmail.FeatureLive}
	for _, tc := range []struct {
		name   string
		policy *activmail.Policy
		sealed bool
		size   vam.Bytes
		kind   vam.ErrorKind
	}{
		{"no policy", nil, false, 1 << 50, vam.Internal},
		{"a recording where they are taken", &activmail.Policy{Features: live}, false, 0, vam.Internal},
		{"a recording where they are not", &activmail.Policy{Features: []string{"mail-ref"}}, false, 0, vam.Denied},
		{"a file where recordings are not taken", &activmail.Policy{}, true, 1 << 50, vam.Internal},
		{"a file of the limit", &activmail.Policy{Message: 100}, true, 100, vam.Internal},
		{"a file over the limit", &activmail.Policy{Message: 100}, true, 101, vam.TooLarge},
		{"a recording over the limit", &activmail.Policy{Message: 100, Features: live}, false, 101, vam.TooLarge},
	} {
		err := tc.policy.Accepts("b.example", tc.sealed, tc.size)
		if taken := tc.kind == vam.Internal; taken != (err == nil) || !taken && (err == nil || vam.KindOf(err) != tc.kind || !strings.Contains(vam.Public(err), "b.example")) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// TestTimesHaveOneForm is AM-1.8.
func TestTimesHaveOneForm(t *testing.T) {
	receipt := func(at string) error {
		_, err := activmail.ParseReceipt([]byte(`{"v":1,"rcpt":"bob@b.example","event":"stored","at":"`+at+`"}`), activmail.DefaultLimits())
		return err
	}
	for _, good := range []string{"2026-11-23T09:00:05Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"} {
		if err := receipt(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"2026-11-23T09:00:05+00:00", "2026-11-23t09:00:05Z", "2026-11-23T09:00:05z", "2026-11-23 09:00:05Z", "2026-11-23T09:00:05.0Z",
		"2026-11-23T23:59:60Z", "1969-12-31T23:59:59Z", "2026-02-30T00:00:00Z", "2026-11-23T24:00:00Z", "2026-11-23",
	} {
		wantError(t, receipt(bad), vam.Invalid, "malformed")
	}
}

// TestSentencesArePrintable is AM-1.17.
func TestSentencesArePrintable(t *testing.T) {
	receipt := func(text string) error {
		_, err := activmail.Receipt{Recipient: vam.Address{Local: "bob", Domain: "b.example"}, Event: activmail.EventStored, At: signedAt, Text: text}.Marshal()
		return err
	}
	for _, good := range []string{"", "a b", "žluťoučký kůň", "録画", "👍"} {
		if err := receipt(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"a\nb", "a\tb", "\u00a0", "\u2028", "\u202e", "\ufeff", "\ue000", "\xff", strings.Repeat("a", 501)} {
		if receipt(bad) == nil {
			t.Errorf("%q is taken for printable", bad)
		}
	}
}

// TestAddressesStandInNoURL is AM-14.12: all of a receipt that the path shows is a hash.
func TestAddressesStandInNoURL(t *testing.T) {
	id := activmail.RecipientID("019acf10-8a3e-7c41-9b0d-5f6c2e7a4b10", vam.Address{Local: "bob", Domain: "b.example"})
	if len(id) != 43 || strings.Contains(id, "bob") || id != "8ugAFQzR6H38_ejW3V_qof_cGbrBxJiYjZzgiOxMp1o" {
		t.Errorf("the recipient is %s", id)
	}
}
