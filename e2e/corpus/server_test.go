package corpus_test

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/daemon"
	"github.com/videoactivmail/vam/internal/dnszone"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/playback"
	"github.com/videoactivmail/vam/internal/sandbox"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

var launcher sandbox.Launcher

func TestMain(m *testing.M) {
	launcher = sandbox.Main()
	os.Exit(m.Run())
}

// server is a.test as an administrator would run it, with everything that works on media.
type server struct {
	t      *testing.T
	daemon *daemon.Daemon
	client *userclient.Client
}

func newServer(t *testing.T) *server {
	t.Helper()
	zone, err := dnszone.Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	must(t, err)
	t.Cleanup(func() { _ = zone.Close() })
	_, err = zone.Zone("test")
	must(t, err)
	ca, err := certs.NewCA("", nil)
	must(t, err)
	local, none := netip.MustParseAddr("127.0.0.1"), ""
	listen := []string{freeAddr(t)}
	r, err := daemon.Setup(t.Context(), daemon.SetupOptions{
		Domain: "a.test", DataDir: t.TempDir(), TCP: listen, UDP: listen, Resolvers: []string{zone.Addr().String()}, AllowPrivate: []string{"127.0.0.0/8"},
		Metrics: &none, Authority: ca, Account: vam.Address{Local: "alice", Domain: "a.test"}, Addresses: []netip.Addr{local},
	})
	must(t, err)
	r.Config.Web.URL = "https://" + listen[0]
	r.Config.Limits.Reserve = 0
	d, err := daemon.Open(t.Context(), daemon.Options{Config: r.Config, Roots: ca.Pool(), Sandbox: launcher})
	must(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	over := make(chan error, 1)
	go func() { over <- d.Run(ctx, nil) }()
	t.Cleanup(func() {
		stop()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	c := userclient.New(userclient.Options{Address: listen[0], ServerName: "a.test", Token: r.Token, Roots: ca.Pool(), Patience: time.Minute})
	t.Cleanup(func() { _ = c.Close() })
	return &server{t: t, daemon: d, client: c}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// send sends a file and returns the message and a link to it.
func (s *server) send(name string, data []byte) (message.Key, string) {
	s.t.Helper()
	up := userclient.Upload{Client: s.client, ID: vam.NewMessageID(time.Now()), Draft: userwire.Draft{
		To: []string{"alice@a.test"}, Subject: name, Name: name, Kind: "file",
	}}
	_, err := up.Send(s.t.Context(), bytes.NewReader(data), int64(len(data)))
	must(s.t, err)
	l, err := s.client.Link(s.t.Context(), "a.test", up.ID, userwire.LinkTerms{For: "zoe@c.test"})
	must(s.t, err)
	return message.Key{Origin: "a.test", ID: up.ID}, l.URL
}

// settled waits until nothing is worked on any more.
func (s *server) settled(k message.Key) playback.State {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 3*time.Minute)
	defer cancel()
	for tag := ""; ; {
		st, err := s.daemon.Playback().Wait(ctx, k, tag)
		must(s.t, err)
		if !st.Working && len(unfinished(st)) == 0 && (st.Known || st.Reason != "" || len(st.Jobs) > 0) {
			return st
		}
		if ctx.Err() != nil {
			s.t.Fatalf("%s is still worked on: %+v", k, st.Jobs)
		}
		tag = st.Tag
	}
}

// unfinished are the jobs that are still to be done.
func unfinished(st playback.State) (out []playback.Job) {
	for _, j := range st.Jobs {
		if j.State == playback.Waiting || j.State == playback.Running {
			out = append(out, j)
		}
	}
	return out
}
