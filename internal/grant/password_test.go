package grant_test

import (
	"errors"
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
		_, err := h.grants.Unlock(h.Context(), l.Token, wrong)
		h.wantKind(wrong, err, vam.Unauthenticated)
	}
	pass, err := h.grants.Unlock(h.Context(), l.Token, "correct horse")
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

	pass, err = h.grants.Unlock(h.Context(), l.Token, "correct horse")
	h.ok(err)
	h.mint(k, h.amy, grant.Terms{Password: new("another")})
	h.wantKind("the pass of an old password", admit(l.Token, pass), vam.Unauthenticated)

	k = h.message()
	open := h.mint(k, h.amy, grant.Terms{})
	h.ok(admit(open.Token, ""))
	_, err = h.grants.Unlock(h.Context(), open.Token, "anything")
	h.ok(err)
	if closed := h.mint(k, h.amy, grant.Terms{Password: new("later")}); !closed.Locked || closed.Token != open.Token {
		t.Errorf("with a password it became %+v", closed)
	}
	h.wantKind("then without", admit(open.Token, ""), vam.Unauthenticated)
}

// A stranger cannot try one password after the other, or many at once; who knows it gets
// in between.
func TestGuessing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	l := h.mint(h.message(), h.amy, grant.Terms{Password: new("right")})
	var busy, judged int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := h.grants.Unlock(h.Context(), l.Token, "wrong")
			mu.Lock()
			defer mu.Unlock()
			switch vam.KindOf(err) {
			case vam.Busy:
				busy++
			case vam.Unauthenticated:
				judged++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if judged != 5 || busy != 15 {
		t.Errorf("%d guesses were judged, %d were not", judged, busy)
	}
	_, err := h.grants.Unlock(h.Context(), l.Token, "right")
	var e *vam.Error
	if !errors.As(err, &e) || e.Kind != vam.Busy || e.RetryAfter != time.Minute {
		t.Fatalf("meanwhile the right one: %v", err)
	}
	h.Clock.Advance(e.RetryAfter)
	_, err = h.grants.Unlock(h.Context(), l.Token, "right")
	h.ok(err)
	_, err = h.grants.Unlock(h.Context(), l.Token, "wrong")
	h.wantKind("after that", err, vam.Unauthenticated)
}

func TestPause(t *testing.T) {
	t.Parallel()
	var all time.Duration
	for n := 1; n <= 100; n++ {
		p := grant.Pause(n)
		if n > 1 && p < grant.Pause(n-1) || p > time.Hour {
			t.Errorf("pause %d is %s", n, p)
		}
		all += p
	}
	if all < 4*day-6*time.Hour {
		t.Errorf("a hundred guesses take %s", all)
	}
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
