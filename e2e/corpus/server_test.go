package corpus_test

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/e2e/harness"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/daemon"
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
	s := harness.New(t, nil).Add("a.test", harness.Options{Sandbox: launcher, Tune: func(c *config.Config) {
		c.Web.URL = "https://" + c.Listen.TCP[0]
		c.Limits.Reserve = 0
	}})
	alice := s.Account("alice")
	return &server{t: t, daemon: s.Open(), client: alice.Client(time.Minute)}
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
