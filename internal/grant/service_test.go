package grant_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/grant"
)

func TestMint(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	k := h.message()
	first := h.mint(k, h.amy, grant.Terms{})
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{32}$`).MatchString(first.Token) {
		t.Errorf("the token %q does not stand in a path as it is", first.Token)
	}
	if want := h.Clock.Now().Add(30 * day); !first.Expires.Equal(want) || first.Locked || first.Rcpt != h.amy || first.Key != k || first.Account != h.ann.ID {
		t.Errorf("minted %+v", first.Grant)
	}
	h.Clock.Advance(time.Hour)
	for range 2 { // and after a restart
		if diff := cmp.Diff(first, h.mint(k, h.amy, grant.Terms{})); diff != "" {
			t.Errorf("asked for again (-first +now):\n%s", diff)
		}
		got, err := h.grants.Open(h.Context(), first.Token)
		if h.ok(err); got != first.Grant {
			t.Errorf("the link opens %+v, want %+v", got, first.Grant)
		}
		h.Reopen()
		h.grants = h.service(key)
	}
	tokens := map[string]bool{first.Token: true, h.mint(k, h.zoe, grant.Terms{}).Token: true, h.mint(h.message(), h.amy, grant.Terms{}).Token: true}
	if len(tokens) != 3 {
		t.Errorf("three links have %d tokens", len(tokens))
	}
	list, err := h.grants.List(h.Context(), h.ann.ID, k)
	if h.ok(err); len(list) != 2 || list[0] != first.Grant {
		t.Errorf("links of the message: %+v", list)
	}

	ed := h.Account("ed@b.example", 0)
	_, err = h.grants.Mint(h.Context(), ed.ID, k, h.amy, grant.Terms{})
	h.wantKind("a link to somebody else's message", err, vam.NotFound)
	_, err = h.grants.Mint(h.Context(), h.ann.ID, k, h.amy, grant.Terms{Expires: h.Clock.Now()})
	h.wantKind("a link that is over", err, vam.Invalid)
	_, err = h.grants.Mint(h.Context(), h.ann.ID, k, h.amy, grant.Terms{Password: new(strings.Repeat("x", 1000))})
	h.wantKind("an endless password", err, vam.Invalid)
	if _, err := grant.New(h.DB.Grants(), grant.Options{Key: make([]byte, 16)}); vam.KindOf(err) != vam.Invalid {
		t.Errorf("a short key: %v", err)
	}
}

// A copy of the database opens nothing: neither token nor password is in it, and without
// the key no token can be made.
func TestDatabaseHasNoSecret(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	l := h.mint(h.message(), h.amy, grant.Terms{Password: new("correct horse")})
	pass, err := h.grants.Unlock(h.Context(), l.Token, "correct horse", here)
	h.ok(err)
	files, err := filepath.Glob(filepath.Join(h.Dir, "vam.db*"))
	h.ok(err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		h.ok(err)
		for what, secret := range map[string]string{"token": l.Token, "password": "correct horse", "pass": pass} {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("the %s stands in %s", what, filepath.Base(file))
			}
		}
		if !bytes.Contains(text, l.ID[:]) && strings.HasSuffix(file, "wal") {
			t.Errorf("%s has not even the id: the test looks at the wrong file", filepath.Base(file))
		}
	}
}

// With another key the links that people have go on working; new ones are made with it.
func TestAnotherKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	k := h.message()
	old := h.mint(k, h.amy, grant.Terms{Password: new("x")})
	pass, err := h.grants.Unlock(h.Context(), old.Token, "x", here)
	h.ok(err)
	h.grants = h.service(otherKey)
	h.ok(h.open(old.Token))
	_, err = h.grants.Admit(h.Context(), old.Token, pass)
	h.wantKind("a pass of the old key", err, vam.Unauthenticated)
	l := h.mint(k, h.amy, grant.Terms{})
	if l.Token == old.Token || l.ID == old.ID || l.Token != h.mint(k, h.amy, grant.Terms{}).Token {
		t.Errorf("minted %+v after %+v", l, old)
	}
	h.ok(h.open(l.Token))
	h.ok(h.open(old.Token))
}

func TestUnknownToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	l := h.mint(h.message(), h.amy, grant.Terms{})
	other := []byte(l.Token)
	other[0] ^= 1
	for _, token := range []string{"", "x", string(other), l.Token + "A", l.Token[1:], l.ID.String(), strings.Repeat("\x00", 32), strings.ToUpper(l.Token)} {
		h.wantKind(token, h.open(token), vam.NotFound)
		_, err := h.grants.Admit(h.Context(), token, "")
		h.wantKind(token, err, vam.NotFound)
		_, err = h.grants.Unlock(h.Context(), token, "", here)
		h.wantKind(token, err, vam.NotFound)
	}
}

// A link that opens nothing any more says why, in the words of the person who has it.
func TestGone(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		end            func(*house, grant.Link)
		problem, words string
	}{
		"revoked link": {func(h *house, l grant.Link) {
			for range 2 {
				_, err := h.grants.Revoke(h.Context(), h.ann.ID, l.ID)
				h.ok(err)
			}
		}, "revoked", "this link was taken back by who sent it"},
		"expired link": {
			func(h *house, _ grant.Link) { h.Clock.Advance(30 * day) }, "expired",
			"",
		},
		"revoked message": {func(h *house, l grant.Link) {
			_, err := h.Submission.Revoke(h.Context(), h.ann, l.Key)
			h.ok(err)
		}, "revoked", "the sender took this message back"},
		"deleted message": {
			func(h *house, l grant.Link) {
				h.ok(h.DB.Mailboxes().DeleteEntry(h.Context(), h.ann.ID, l.Key.Origin, l.Key.ID))
			}, "revoked", "the sender removed this message",
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			l := h.mint(h.message(), h.amy, grant.Terms{})
			h.Clock.Advance(time.Minute)
			h.ok(h.open(l.Token))
			c.end(h, l)
			if c.words == "" {
				c.words = "this link expired on " + l.Expires.UTC().Format("2 January 2006") + "; ask the sender for a new one"
			}
			h.wantGone("opening", h.open(l.Token), c.problem, c.words)
			_, err := h.grants.Admit(h.Context(), l.Token, "")
			h.wantGone("admitting", err, c.problem, c.words)
			_, err = h.grants.Unlock(h.Context(), l.Token, "x", here)
			h.wantGone("unlocking", err, c.problem, c.words)
		})
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	k := h.message()
	l := h.mint(k, h.amy, grant.Terms{})
	ed := h.Account("ed@b.example", 0)
	_, err := h.grants.Revoke(h.Context(), ed.ID, l.ID)
	h.wantKind("somebody else's link", err, vam.NotFound)
	h.ok(h.open(l.Token))
	g, err := h.grants.Revoke(h.Context(), h.ann.ID, l.ID)
	if h.ok(err); !g.Revoked.Equal(h.Clock.Now()) {
		t.Errorf("revoked at %s", g.Revoked)
	}
	again := h.mint(k, h.amy, grant.Terms{})
	if again.Token == l.Token {
		t.Error("a revoked link came back")
	}
	h.ok(h.open(again.Token))
	h.wantKind("the old link", h.open(l.Token), vam.Gone)

	_, err = h.Submission.Revoke(h.Context(), h.ann, k)
	h.ok(err)
	_, err = h.grants.Mint(h.Context(), h.ann.ID, k, h.zoe, grant.Terms{})
	h.wantKind("a link to a message that was taken back", err, vam.Gone)
}

// Terms that are asked for change the link, those that are not stay.
func TestTerms(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	k := h.message()
	soon := h.Clock.Now().Add(time.Hour)
	l := h.mint(k, h.amy, grant.Terms{Expires: soon, Password: new("one")})
	if !l.Locked || !l.Expires.Equal(soon) {
		t.Errorf("minted %+v", l.Grant)
	}
	if again := h.mint(k, h.amy, grant.Terms{}); again != l {
		t.Errorf("without terms it became %+v", again)
	}
	later := soon.Add(day)
	want := l
	want.Expires = later
	if got := h.mint(k, h.amy, grant.Terms{Expires: later}); got != want {
		t.Errorf("with another end it became %+v", got)
	}
	h.Clock.Advance(time.Minute)
	_, err := h.grants.Unlock(h.Context(), l.Token, "one", here)
	h.ok(err)
	if got := h.mint(k, h.amy, grant.Terms{Password: new("two")}); got != want {
		t.Errorf("with another password it became %+v", got)
	}
	_, err = h.grants.Unlock(h.Context(), l.Token, "one", here)
	h.wantKind("the old password", err, vam.Unauthenticated)
	_, err = h.grants.Unlock(h.Context(), l.Token, "two", here)
	h.ok(err)
	want.Locked = false
	for range 2 {
		if got := h.mint(k, h.amy, grant.Terms{Password: new("")}); got != want {
			t.Errorf("with its password taken off it became %+v", got)
		}
		_, err = h.grants.Admit(h.Context(), l.Token, "")
		h.ok(err)
	}
	want.Locked = true
	if got := h.mint(k, h.amy, grant.Terms{Password: new("three")}); got != want {
		t.Errorf("with a password again it became %+v", got)
	}
	_, err = h.grants.Admit(h.Context(), l.Token, "")
	h.wantKind("and no pass", err, vam.Unauthenticated)
	h.Clock.Advance(2 * day)
	h.wantKind("after its end", h.open(l.Token), vam.Gone)
	got := h.mint(k, h.amy, grant.Terms{})
	if got.Token != l.Token || !got.Expires.Equal(h.Clock.Now().Add(30*day)) || !got.Locked {
		t.Errorf("after its end it became %+v", got)
	}
	h.ok(h.open(l.Token))
}

func TestViewed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	l := h.mint(h.message(), h.amy, grant.Terms{})
	for range 3 {
		h.ok(h.open(l.Token))
	}
	list, err := h.grants.List(h.Context(), h.ann.ID, l.Key)
	if h.ok(err); list[0].Plays != 0 {
		t.Errorf("looking at a link counted as %d plays", list[0].Plays)
	}
	for _, p := range []grant.Play{{Session: "a", UpTo: 0}, {Session: "a", UpTo: 0.5}, {Session: "b", UpTo: 0.25}} {
		h.Clock.Advance(time.Second)
		h.ok(h.grants.Viewed(h.Context(), l.ID, p))
	}
	list, err = h.grants.List(h.Context(), h.ann.ID, l.Key)
	if h.ok(err); list[0].Plays != 2 || list[0].Watched != 0.5 || !list[0].LastPlay.Equal(h.Clock.Now()) {
		t.Errorf("after two sessions: %+v", list[0])
	}
	for _, p := range []grant.Play{{}, {Session: strings.Repeat("x", 65)}, {Session: "a", UpTo: -0.1}, {Session: "a", UpTo: 1.1}, {Session: "a", UpTo: math.NaN()}, {Session: "a", UpTo: math.Inf(1)}} {
		h.wantKind("a play that cannot be", h.grants.Viewed(h.Context(), l.ID, p), vam.Invalid)
	}
	h.wantKind("of no link", h.grants.Viewed(h.Context(), grant.NewID(), grant.Play{Session: "a"}), vam.NotFound)
}

func FuzzParseID(f *testing.F) {
	f.Add(grant.NewID().String())
	f.Add("")
	f.Add(strings.Repeat("A", 32))
	f.Add(strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, s string) {
		id, err := grant.ParseID(s)
		if err == nil && id.String() != s {
			t.Errorf("%q was read as %s", s, id)
		}
		if err != nil && (vam.KindOf(err) != vam.Invalid || id != grant.ID{}) {
			t.Errorf("%q: %s, %v", s, id, err)
		}
	})
}
