package amserver_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"go.uber.org/goleak"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/activmail/amtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server of a.test, and the key of its peer b.test.
type world struct {
	network *amtest.Network
	peer    *amtest.Peer
	key     *activmail.RequestKey
}

func newWorld(t *testing.T, options amtest.PeerOptions) *world {
	t.Helper()
	n, err := amtest.NewNetwork()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{network: n}
	if w.key, err = n.RequestKey("b.test"); err != nil {
		t.Fatal(err)
	}
	if w.peer, err = n.Start("a.test", options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.peer.Close() })
	return w
}

// withOutbound is a peer whose pulls o answers.
func withOutbound(o amserver.Outbound, options amserver.HandlerOptions) amtest.PeerOptions {
	options.Outbound = o
	return amtest.PeerOptions{Wrap: func(http.Handler) http.Handler { return amserver.NewHandler(options) }}
}

// client is somebody else's HTTP client: the standard library's over TCP, quic-go's over
// UDP.
type client struct {
	network string
	base    string
	http    *http.Client
}

func (w *world) tls() *tls.Config {
	return &tls.Config{RootCAs: w.network.Roots, ServerName: w.peer.ServerName}
}

func (w *world) client(t *testing.T, network string) *client {
	t.Helper()
	c := &client{network: network}
	if network == "tcp" {
		c.base = "https://" + w.peer.ServerName + w.peer.TCP.String()[strings.LastIndexByte(w.peer.TCP.String(), ':'):]
		transport := &http.Transport{
			TLSClientConfig: w.tls(), ForceAttemptHTTP2: true, DisableCompression: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", w.peer.TCP.String())
			},
		}
		c.http = &http.Client{Transport: transport, CheckRedirect: noRedirect}
		t.Cleanup(transport.CloseIdleConnections)
		return c
	}
	c.base = "https://" + w.peer.ServerName + w.peer.UDP.String()[strings.LastIndexByte(w.peer.UDP.String(), ':'):]
	transport := &http3.Transport{
		TLSClientConfig: w.tls(), DisableCompression: true,
		Dial: func(ctx context.Context, _ string, config *tls.Config, q *quic.Config) (*quic.Conn, error) {
			return quic.DialAddr(ctx, w.peer.UDP.String(), config, q)
		},
	}
	c.http = &http.Client{Transport: transport, CheckRedirect: noRedirect}
	t.Cleanup(func() { transport.Close() })
	return c
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// bothNetworks runs f over each.
func bothNetworks(t *testing.T, f func(t *testing.T, network string)) {
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) { f(t, network) })
	}
}

// ask is a request as the tests write it.
type ask struct {
	method, path string
	header       http.Header
	contentType  string
	body         []byte
	key          *activmail.RequestKey // signs, where it is not nil
	token        activmail.Token
}

// request builds it anew each time, with a fresh nonce.
func (c *client) request(t *testing.T, a ask) *http.Request {
	t.Helper()
	var reader io.Reader
	if a.body != nil {
		reader = bytes.NewReader(a.body)
	}
	req, err := http.NewRequestWithContext(t.Context(), a.method, c.base+a.path, reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range a.header {
		req.Header[name] = values
	}
	if a.contentType != "" {
		req.Header.Set("Content-Type", a.contentType)
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+string(a.token))
	}
	if a.key != nil {
		if err := activmail.SignRequest(req, activmail.DigestOf(a.body), *a.key, time.Now(), ""); err != nil {
			t.Fatal(err)
		}
	}
	return req
}

// answer is one that was read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (c *client) do(t *testing.T, a ask) answer {
	t.Helper()
	return c.send(t, c.request(t, a))
}

func (c *client) send(t *testing.T, req *http.Request) answer {
	t.Helper()
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatalf("%s %s over %s: %v", req.Method, req.URL, c.network, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s over %s: %v", req.Method, req.URL, c.network, err)
	}
	return answer{resp.StatusCode, resp.Header, body}
}

// problem is the name of the problem that an answer is.
func (a answer) problem() string {
	if a.header.Get("Content-Type") != activmail.ProblemType {
		return "no problem document"
	}
	return activmail.ParseProblem(a.status, a.header, a.body).Name
}

func (a answer) want(t *testing.T, status int, problem string) {
	t.Helper()
	if a.status != status || (problem != "" && a.problem() != problem) {
		t.Errorf("got %d %s %q, want %d %s", a.status, a.problem(), a.body, status, problem)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// sealed is a message with content, sealed, and a token of b.test for it.
func (w *world) sealed(t *testing.T, content []byte) (*amtest.Message, activmail.Token) {
	t.Helper()
	m, err := w.peer.Origin.NewMessage(vam.File)
	if err := errors.Join(err, m.AppendFile("video/mp4", content), m.Seal()); err != nil {
		t.Fatal(err)
	}
	return m, m.Grant("b.test")
}

// live is a message with one part that goes on.
func (w *world) live(t *testing.T, part []byte) (*amtest.Message, activmail.Token) {
	t.Helper()
	m, err := w.peer.Origin.NewMessage(vam.Video)
	if err != nil {
		t.Fatal(err)
	}
	appendPart(t, m, part)
	return m, m.Grant("b.test")
}

func appendPart(t *testing.T, m *amtest.Message, part []byte) {
	t.Helper()
	if _, err := m.Append(activmail.Record{Kind: activmail.RecordPart, ContentType: "video/mp4"}, part); err != nil {
		t.Fatal(err)
	}
}

func messagePath(mid vam.MessageID, rest string) string {
	return amserver.BasePath + "/m/" + string(mid) + rest
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}
