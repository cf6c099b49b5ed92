package discovery_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/discovery"
)

const keyB = "v1._domainkey.b.example"

var _ activmail.KeyLookup = (*discovery.Keys)(nil).Lookup

func newKey(t *testing.T) ed25519.PublicKey {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

// problem is the problem type of err.
func problem(err error) string {
	var e *vam.Error
	if errors.As(err, &e) {
		return e.Problem
	}
	return ""
}

func TestKeysLookup(t *testing.T) {
	pub := newKey(t)
	good := activmail.FormatRequestKey(pub)
	for _, tc := range []struct {
		name    string
		keyid   string
		records []string
		dnsErr  error
		kind    vam.ErrorKind
		problem string // "" is success
	}{
		{"good", keyB, []string{good}, nil, 0, ""},
		{"other order, unknown tag", keyB, []string{"v=DKIM1; s=vam; x=1; k=ed25519; p=" + activmail.FormatMessageKey(pub) + ";"}, nil, 0, ""},
		{"none", keyB, nil, nil, vam.Unauthenticated, "key-not-found"},
		{"two", keyB, []string{good, good}, nil, vam.Unauthenticated, "signature-invalid"},
		{"another text beside", keyB, []string{good, "hello"}, nil, vam.Unauthenticated, "signature-invalid"},
		{"withdrawn", keyB, []string{"v=DKIM1; k=ed25519; s=vam; p="}, nil, vam.Unauthenticated, "signature-invalid"},
		{"a mail key", keyB, []string{"v=DKIM1; k=ed25519; p=" + activmail.FormatMessageKey(pub)}, nil, vam.Unauthenticated, "signature-invalid"},
		{"no key record", keyB, []string{"hello"}, nil, vam.Unauthenticated, "signature-invalid"},
		{"silence", keyB, nil, errors.New("timeout"), vam.Unavailable, "key-not-found"},
		{"a keyid of no shape", "v1.b.example", nil, nil, vam.Unauthenticated, "signature-invalid"},
		{"a keyid with blanks", "v1 ._domainkey.b.example", nil, nil, vam.Unauthenticated, "signature-invalid"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDNS()
			if tc.records != nil {
				d.txt[tc.keyid] = discovery.Answer[string]{Records: tc.records, TTL: time.Hour}
			}
			d.errs[tc.keyid] = tc.dnsErr
			keys := discovery.NewKeys(discovery.KeysOptions{Resolver: d})
			for range 2 { // the second answer is remembered
				got, err := keys.Lookup(t.Context(), tc.keyid)
				if tc.problem == "" {
					if err != nil || !got.Equal(pub) {
						t.Errorf("Lookup = %x, %v", got, err)
					}
					continue
				}
				if vam.KindOf(err) != tc.kind || problem(err) != tc.problem {
					t.Errorf("Lookup = %v (%v, %s)", err, vam.KindOf(err), problem(err))
				}
			}
			if n := d.times(tc.keyid); n > 1 {
				t.Errorf("DNS was asked %d times", n)
			}
		})
	}
}

// TestKeysRememberWithinBounds is AM-2.32.
func TestKeysRememberWithinBounds(t *testing.T) {
	good := activmail.FormatRequestKey(newKey(t))
	for _, tc := range []struct {
		name   string
		record string
		ttl    time.Duration
		fail   error
		life   time.Duration
	}{
		{"the TTL", good, 10 * time.Minute, nil, 10 * time.Minute},
		{"a TTL of days", good, 72 * time.Hour, nil, time.Hour},
		{"TTL 0", good, 0, nil, 5 * time.Second},
		{"absent for an hour", "", time.Hour, nil, 5 * time.Minute},
		{"absent, SOA of 1 s", "", time.Second, nil, 30 * time.Second},
		{"broken", "v=DKIM1", time.Hour, nil, 5 * time.Minute},
		{"silence", "", 0, errors.New("timeout"), 5 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, c := newDNS(), newClock()
			d.absent.TTL = tc.ttl
			d.errs[keyB] = tc.fail
			if tc.record != "" {
				d.txt[keyB] = discovery.Answer[string]{Records: []string{tc.record}, TTL: tc.ttl}
			}
			keys := discovery.NewKeys(discovery.KeysOptions{Resolver: d, Now: c.now})
			for _, step := range []struct {
				after time.Duration
				asked int
			}{{0, 1}, {tc.life - time.Second, 1}, {time.Second, 2}} {
				c.add(step.after)
				_, _ = keys.Lookup(t.Context(), keyB)
				if d.times(keyB) != step.asked {
					t.Errorf("after %v asked %d times, want %d", step.after, d.times(keyB), step.asked)
				}
			}
		})
	}
}

// TestKeysAskOnlyWhatIsAllowed is AM-3.14.
func TestKeysAskOnlyWhatIsAllowed(t *testing.T) {
	d := newDNS()
	d.txt[keyB] = discovery.Answer[string]{Records: []string{activmail.FormatRequestKey(newKey(t))}, TTL: time.Hour}
	budget := 1
	keys := discovery.NewKeys(discovery.KeysOptions{Resolver: d, Allow: func(context.Context, string) error {
		if budget--; budget < 0 {
			return vam.Errorf(vam.Busy, "too many unknown keys").WithProblem("rate")
		}
		return nil
	}})
	for range 5 {
		if _, err := keys.Lookup(t.Context(), keyB); err != nil {
			t.Fatal("a remembered key needs no allowance:", err)
		}
	}
	for i := range 5 {
		name := fmt.Sprintf("v%d._domainkey.c.example", i)
		if _, err := keys.Lookup(t.Context(), name); vam.KindOf(err) != vam.Busy || d.times(name) != 0 {
			t.Errorf("Lookup(%s) = %v, asked %d times", name, err, d.times(name))
		}
	}
}

func TestKeysAskOnceForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDNS()
		d.txt[keyB] = discovery.Answer[string]{Records: []string{activmail.FormatRequestKey(newKey(t))}, TTL: time.Hour}
		d.gate = make(chan struct{})
		keys := discovery.NewKeys(discovery.KeysOptions{Resolver: d})
		done := make(chan error)
		for range 20 {
			go func() {
				_, err := keys.Lookup(t.Context(), keyB)
				done <- err
			}()
		}
		synctest.Wait()
		close(d.gate)
		for range 20 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if d.times(keyB) != 1 {
			t.Errorf("asked %d times", d.times(keyB))
		}
	})
}
