package grant_test

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/grant"
)

func TestPassword(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	k := h.message()
	l := h.mint(k, h.amy, grant.Terms{Password: new("correct horse")})
	other := h.mint(k, h.zoe, grant.Terms{Password: new("correct horse")})
	g, err := h.grants.Open(h.Context(), l.Token)
	if h.ok(err); !g.Locked {
		t.Error("the page is not told to ask for the password")
	}
	for _, wrong := range []string{"", "Correct horse", "correct horse ", strings.Repeat("correct horse", 100)} {
		_, err := h.grants.Unlock(h.Context(), l.Token, wrong, here)
		h.wantKind(wrong, err, vam.Unauthenticated)
	}
	pass, err := h.grants.Unlock(h.Context(), l.Token, "correct horse", here)
	h.ok(err)
	if strings.Trim(pass, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("the pass %q does not stand in a path as it is", pass)
	}
	admit := func(token, pass string) error {
		g, err := h.grants.Admit(h.Context(), token, pass)
		if err == nil && g.Key != k {
			t.Errorf("admitted to %s", g.Key)
		}
		return err
	}
	h.ok(admit(l.Token, pass))
	h.wantKind("a pass that says it is good for longer", admit(l.Token, "_"+pass[1:]), vam.Unauthenticated)
	h.wantKind("the pass of another link", admit(other.Token, pass), vam.Unauthenticated)
	h.wantKind("no pass", admit(l.Token, ""), vam.Unauthenticated)
	h.Reopen()
	h.grants = h.service(key)
	h.ok(admit(l.Token, pass))
	h.Clock.Advance(6*time.Hour - time.Second)
	h.ok(admit(l.Token, pass))
	h.Clock.Advance(2 * time.Second)
	h.wantKind("the pass after its time", admit(l.Token, pass), vam.Unauthenticated)

	pass, err = h.grants.Unlock(h.Context(), l.Token, "correct horse", here)
	h.ok(err)
	h.mint(k, h.amy, grant.Terms{Password: new("another")})
	h.wantKind("the pass of an old password", admit(l.Token, pass), vam.Unauthenticated)

	k = h.message()
	open := h.mint(k, h.amy, grant.Terms{})
	h.ok(admit(open.Token, ""))
	_, err = h.grants.Unlock(h.Context(), open.Token, "anything", here)
	h.ok(err)
	if closed := h.mint(k, h.amy, grant.Terms{Password: new("later")}); !closed.Locked || closed.Token != open.Token {
		t.Errorf("with a password it became %+v", closed)
	}
	h.wantKind("then without", admit(open.Token, ""), vam.Unauthenticated)
}

// together is how many of n wrong passwords at the same time are judged and how many are
// not.
func (h *house) together(n int, token string, from netip.Addr) (judged, busy int) {
	h.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			_, err := h.grants.Unlock(h.Context(), token, "wrong", from)
			mu.Lock()
			defer mu.Unlock()
			switch vam.KindOf(err) {
			case vam.Busy:
				busy++
			case vam.Unauthenticated:
				judged++
			default:
				h.Error(err)
			}
		})
	}
	wg.Wait()
	return judged, busy
}

// A stranger cannot try one password after the other, or many at once. Who knows it gets
// in meanwhile from elsewhere, and with time from the stranger's own network.
func TestGuessing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	l := h.mint(h.message(), h.amy, grant.Terms{Password: new("right")})
	stranger, neighbour := netip.MustParseAddr("2001:db8::bad"), netip.MustParseAddr("2001:db8::c0de")
	if judged, busy := h.together(12, l.Token, stranger); judged != 10 || busy != 2 {
		t.Errorf("%d guesses were judged, %d were not", judged, busy)
	}
	_, err := h.grants.Unlock(h.Context(), l.Token, "right", here)
	h.ok(err)
	_, err = h.grants.Unlock(h.Context(), l.Token, "right", neighbour)
	var e *vam.Error
	if !errors.As(err, &e) || e.Kind != vam.Busy || e.RetryAfter < 30*time.Minute || e.RetryAfter > 31*time.Minute {
		t.Fatalf("meanwhile the right one from the same network: %v", err)
	}
	other := h.mint(h.message(), h.amy, grant.Terms{Password: new("right")})
	_, err = h.grants.Unlock(h.Context(), other.Token, "right", stranger)
	h.ok(err) // another link is another matter
	h.Clock.Advance(e.RetryAfter)
	_, err = h.grants.Unlock(h.Context(), l.Token, "right", neighbour)
	h.ok(err)
	if judged, _ := h.together(1, l.Token, stranger); judged != 1 {
		t.Error("a right password does not make up for the wrong ones before it")
	}
}

// Guesses from everywhere delay each other, and those who know the password: the last
// resort. An address of this machine is a web server that passes them on.
func TestGuessingTogether(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	l := h.mint(h.message(), h.amy, grant.Terms{Password: new("right")})
	for range 90 { // as if from nine networks
		h.ok(h.DB.Grants().Try(h.Context(), l.ID, h.Clock.Now()))
	}
	if judged, busy := h.together(12, l.Token, netip.MustParseAddr("::ffff:127.0.0.1")); judged != 10 || busy != 2 {
		t.Errorf("of this machine %d guesses were judged, %d were not", judged, busy)
	}
	_, err := h.grants.Unlock(h.Context(), l.Token, "right", here)
	var e *vam.Error
	if !errors.As(err, &e) || e.Kind != vam.Busy || e.RetryAfter != 6*time.Minute {
		t.Fatalf("meanwhile the right one: %v", err)
	}
	h.Clock.Advance(e.RetryAfter)
	_, err = h.grants.Unlock(h.Context(), l.Token, "right", here)
	h.ok(err)
}

func FuzzAdmit(f *testing.F) {
	f.Add("")
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add(strings.Repeat("_", 28))
	f.Add("/../..")
	h := newHouse(f)
	l := h.mint(h.message(), h.amy, grant.Terms{Password: new("right")})
	f.Fuzz(func(t *testing.T, pass string) {
		_, err := h.grants.Admit(t.Context(), l.Token, pass)
		if vam.KindOf(err) != vam.Unauthenticated || err == nil {
			t.Errorf("%q was let in, or %v", pass, err)
		}
	})
}
