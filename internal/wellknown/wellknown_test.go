package wellknown_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/wellknown"
)

const (
	firstDocument  = first + wellknown.Path
	secondDocument = second + wellknown.Path
)

// TestTwoPlaces: AM-2.11. The second is asked when the first answers 404 or cannot be
// reached, and then only.
func TestTwoPlaces(t *testing.T) {
	good, missing := place{handler: says(200, document)}, place{handler: says(404, "nothing")}
	elsewhere := place{handler: good.handler, leaf: certs.Leaf{DNSNames: []string{"b.test"}}}
	expired := place{handler: good.handler, leaf: certs.Leaf{DNSNames: []string{first}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)}}
	nobody := netip.MustParseAddr("127.0.0.3") // nothing listens there
	for _, tc := range []struct {
		name   string
		places map[string]place
		addrs  map[string]netip.Addr // in place of 127.0.0.1; the zero value is none
		kind   vam.ErrorKind         // 0 is a policy
		asked  []string
	}{
		{"the first", map[string]place{first: good, second: good}, nil, 0, []string{firstDocument}},
		{"404 and the second", map[string]place{first: missing, second: good}, nil, 0, []string{firstDocument, secondDocument}},
		{"no address and the second", map[string]place{second: good}, map[string]netip.Addr{first: {}}, 0, []string{secondDocument}},
		{"refused and the second", map[string]place{second: good}, map[string]netip.Addr{first: nobody}, 0, []string{secondDocument}},
		{"no handshake and the second", map[string]place{second: good}, nil, 0, []string{secondDocument}},
		{"another's certificate and the second", map[string]place{first: elsewhere, second: good}, nil, 0, []string{secondDocument}},
		{"an expired certificate and the second", map[string]place{first: expired, second: good}, nil, 0, []string{secondDocument}},
		{"neither", map[string]place{first: missing, second: missing}, nil, vam.NotFound, []string{firstDocument, secondDocument}},
		{"no address at all", nil, map[string]netip.Addr{first: {}, second: {}}, vam.NotFound, nil},
		{"404 and unreachable", map[string]place{first: missing}, map[string]netip.Addr{second: nobody}, vam.Unavailable, []string{firstDocument}},
		{"unreachable and 404", map[string]place{second: missing}, map[string]netip.Addr{first: nobody}, vam.Unavailable, []string{secondDocument}},
		{"no policy at the first", map[string]place{first: {handler: says(200, "{}")}, second: good}, nil, vam.Invalid, []string{firstDocument}},
		{"the first is broken", map[string]place{first: {handler: says(500, "")}, second: good}, nil, vam.Invalid, []string{firstDocument}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, tc.places)
			for host, addr := range tc.addrs {
				w.addrs[host] = []netip.Addr{addr}
				if !addr.IsValid() {
					delete(w.addrs, host)
				}
			}
			p, err := w.fetcher(t, 0).FetchPolicy(t.Context(), first)
			if tc.kind == 0 {
				if err != nil || p.Mode != activmail.ModeEnforce || !slices.Equal(p.MX, []string{"mx.a.test"}) || p.MaxAge != 7*24*time.Hour {
					t.Errorf("%+v, %v", p, err)
				}
			} else if err == nil || vam.KindOf(err) != tc.kind {
				t.Errorf("%+v, %v; want %v", p, err, tc.kind)
			}
			if got := w.requests(); !slices.Equal(got, tc.asked) {
				t.Errorf("asked %q, want %q", got, tc.asked)
			}
		})
	}
}

// TestWhatIsNoPolicy: every answer but a document of the right type and size.
func TestWhatIsNoPolicy(t *testing.T) {
	padded := func(octets int) string { return document + strings.Repeat(" ", octets-len(document)) }
	most := int(activmail.DefaultLimits().Document)
	endless := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for block := []byte(strings.Repeat(" ", 32<<10)); ; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	for _, tc := range []struct {
		name    string
		handler http.Handler
		kind    vam.ErrorKind // 0 is a policy
	}{
		{"with a character set", says(200, document, "Content-Type", "Application/JSON; charset=utf-8"), 0},
		{"as long as may be", says(200, padded(most)), 0},
		{"too long by one", says(200, padded(most+1)), vam.TooLarge},
		{"endless", endless, vam.TooLarge},
		{"another type", says(200, document, "Content-Type", "text/html"), vam.Invalid},
		{"no type", says(200, document, "Content-Type", ""), vam.Invalid},
		{"a broken type", says(200, document, "Content-Type", "application/json; x"), vam.Invalid},
		{"compressed, which was not asked for", says(200, "\x1f\x8b\x08", "Content-Encoding", "gzip"), vam.Invalid},
		{"no JSON", says(200, "<html>"), vam.Invalid},
		{"nothing", says(200, ""), vam.Invalid},
		{"another success", says(203, document), vam.Invalid},
		{"no content", says(204, ""), vam.Invalid},
		{"a part", says(206, document), vam.Invalid},
		{"a secret", says(401, document), vam.Invalid},
		{"gone", says(410, document), vam.Invalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, map[string]place{first: {handler: tc.handler}, second: {handler: says(200, document)}})
			_, err := w.fetcher(t, 0).FetchPolicy(t.Context(), first)
			if (err == nil) != (tc.kind == 0) || err != nil && vam.KindOf(err) != tc.kind {
				t.Errorf("%v; want %v", err, tc.kind)
			}
			if got := w.requests(); len(got) != 1 {
				t.Errorf("asked %q", got)
			}
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{"/elsewhere", "https://" + second + wellknown.Path, "http://127.0.0.1/"} {
			w := newWorld(t, map[string]place{first: {handler: says(status, document, "Location", to)}, second: {handler: says(200, document)}})
			if _, err := w.fetcher(t, 0).FetchPolicy(t.Context(), first); vam.KindOf(err) != vam.Invalid {
				t.Errorf("%d to %s: %v", status, to, err)
			}
			if got := w.requests(); !slices.Equal(got, []string{firstDocument}) {
				t.Errorf("%d to %s: asked %q", status, to, got)
			}
		}
	}
}

// TestInsideIsNotDialled: AM-2.7. The zero guard lets public addresses through only, and
// of a mixture the allowed ones are dialled.
func TestInsideIsNotDialled(t *testing.T) {
	w := newWorld(t, map[string]place{first: {handler: says(200, document)}, second: {handler: says(200, document)}})
	closed := wellknown.New(wellknown.Options{Resolver: w, Roots: w.ca.Pool(), Port: w.port})
	for _, addr := range []string{"127.0.0.1", "::ffff:127.0.0.1", "::1", "10.0.0.1", "169.254.169.254", "fd00::1", "0.0.0.0", "224.0.0.1"} {
		w.addrs[first] = []netip.Addr{netip.MustParseAddr(addr)}
		w.addrs[second] = w.addrs[first]
		_, err := closed.FetchPolicy(t.Context(), first)
		if vam.KindOf(err) != vam.Unavailable || errors.As(err, new(*net.OpError)) {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if n := w.connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
	w.addrs[first] = []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::ffff:127.0.0.1"), loopback}
	if _, err := w.fetcher(t, 0).FetchPolicy(t.Context(), first); err != nil {
		t.Error(err)
	}
	// The first sixteen addresses are looked at.
	w.addrs[first] = append(slices.Repeat([]netip.Addr{netip.MustParseAddr("10.0.0.1")}, 16), loopback)
	w.addrs[second] = w.addrs[first]
	if _, err := w.fetcher(t, 0).FetchPolicy(t.Context(), first); vam.KindOf(err) != vam.Unavailable {
		t.Errorf("%v", err)
	}
}

// TestSilentFirstPlace leaves time for the second.
func TestSilentFirstPlace(t *testing.T) {
	for name, hang := range map[string]func(http.ResponseWriter, *http.Request){
		"before its header": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"within its body": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(document[:10]))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, map[string]place{first: {handler: http.HandlerFunc(hang)}, second: {handler: says(200, document)}})
			if _, err := w.fetcher(t, 4*time.Second).FetchPolicy(t.Context(), first); err != nil {
				t.Error(err)
			}
			if got := w.requests(); !slices.Equal(got, []string{firstDocument, secondDocument}) {
				t.Errorf("asked %q", got)
			}
		})
	}
}

// TestEndOfTime: nothing is waited for beyond the limit or the caller.
func TestEndOfTime(t *testing.T) {
	hang := place{handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })}
	w := newWorld(t, map[string]place{first: hang, second: hang})
	if _, err := w.fetcher(t, 50*time.Millisecond).FetchPolicy(t.Context(), first); vam.KindOf(err) != vam.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := w.fetcher(t, time.Hour).FetchPolicy(ctx, first); vam.KindOf(err) != vam.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// TestLongHeaders are not read to their end.
func TestLongHeaders(t *testing.T) {
	long := place{handler: says(200, document, "X-Long", strings.Repeat("x", 64<<10))}
	w := newWorld(t, map[string]place{first: long, second: long})
	if _, err := w.fetcher(t, 0).FetchPolicy(t.Context(), first); vam.KindOf(err) != vam.Unavailable {
		t.Errorf("%v", err)
	}
}
