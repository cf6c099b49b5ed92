package nativeout_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amclient"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/submission"
)

// modes are the ways to exchange messages.
var modes = map[string]amclient.Mode{"tcp": amclient.TCPOnly, "udp": amclient.UDPOnly, "both": amclient.Auto}

// TestExchange is the life of a message between two servers that do each request twice.
func TestExchange(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.start(t, mode, "alice@a.example", hosttest.Options{})
			b := w.start(t, mode, "bob@b.example", hosttest.Options{Chunk: vam.MiB})
			carol := b.Account("carol@b.example", 0)
			content, poster := hosttest.Pattern(5<<19, 1), []byte("a picture")
			k := a.draft(t, submission.Draft{To: to(t, "bob@b.example", "nobody@b.example"), Bcc: to(t, "carol@b.example"), Name: "a.mp4"})
			a.add(t, k, activmail.Record{Kind: activmail.RecordPoster, ContentType: "image/jpeg"}, poster)
			for i := 0; i < len(content); i += 1 << 19 {
				a.add(t, k, activmail.Record{Kind: activmail.RecordPart}, content[i:i+1<<19])
			}
			a.seal(t, k)
			a.send(t, k)
			work(t, a, b)
			if diff := cmp.Diff([]string{"bob@b.example stored", "carol@b.example stored", "nobody@b.example rejected"}, a.states(t, k)); diff != "" {
				t.Error(diff)
			}
			if st := b.entry(t, b.user, k); st != mailbox.Stored || b.entry(t, carol, k) != mailbox.Stored {
				t.Errorf("bob has it %s", st)
			}
			b.wantMedia(t, k, content)
			if pulled := b.peers.Media(amclient.TCP) + b.peers.Media(amclient.UDP); pulled != int64(len(content)) {
				t.Errorf("%d octets of media for a file of %d", pulled, len(content))
			}
			if sent, _ := a.peers.Stats(); sent == 0 {
				t.Error("nothing was counted")
			}
			// Taken back.
			if _, err := a.Submission.Revoke(t.Context(), a.user, k); err != nil {
				t.Fatal(err)
			}
			work(t, a, b)
			if got := a.states(t, k); !strings.HasPrefix(strings.Join(got, " "), "bob@b.example withdrawn carol@b.example withdrawn ") {
				t.Errorf("they are %v", got)
			}
			if _, err := b.Messages.OpenMedia(t.Context(), k); vam.KindOf(err) != vam.Gone {
				t.Errorf("its media can be read: %v", err)
			}
			wantAnswered(t, a.asked, "GET vam/v1/m/*/b/* 200 200", "GET vam/v1/m/*/log 200 200", "GET vam/v1/m/*/media 206 206",
				"PUT vam/v1/m/*/rcpt/*/stored 201 200", "PUT vam/v1/m/*/rcpt/*/withdrawn 201 200")
			wantAnswered(t, b.asked, "POST vam/v1/in/*/*/poke 204 204", "PUT vam/v1/in/*/*/* 201 200")
		})
	}
}

// wantAnswered compares the requests of a run, with the statuses of the answer that was
// lost and of the one that came.
func wantAnswered(t *testing.T, got *requests, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got.answered()); diff != "" {
		t.Errorf("what was asked for: %s", diff)
	}
}

// TestExchangeLive is a recording that is watched while it is made.
func TestExchangeLive(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.start(t, mode, "alice@a.example", hosttest.Options{})
			b := w.start(t, mode, "bob@b.example", hosttest.Options{})
			content := hosttest.Pattern(800_000, 1)
			part := func(n int) []byte { return content[n*200_000 : (n+1)*200_000] }
			k := a.draft(t, submission.Draft{To: to(t, "bob@b.example")})
			a.add(t, k, activmail.Record{Kind: activmail.RecordPart}, part(0))
			a.send(t, k)
			if errs := a.Work(t.Context()); len(errs) != 0 {
				t.Fatal(errs)
			}
			if w, err := b.Messages.Writer(t.Context(), k); err != nil { // a place for the media that can be opened
				t.Fatal(err)
			} else if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			pulled := make(chan error, 1)
			go func() {
				pulled <- b.Reception.Pull(t.Context(), queue.Job{Kind: queue.Pull, Key: k.String(), Domain: k.Origin, Created: b.Clock.Now()})
			}()
			watch, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for n := 1; n < 4; n++ {
				waitFor(watch, t, b, k, int64(n)*200_000)
				a.add(t, k, activmail.Record{Kind: activmail.RecordPart}, part(n))
			}
			waitFor(watch, t, b, k, 800_000)
			a.seal(t, k)
			if err := <-pulled; err != nil {
				t.Fatal(err)
			}
			work(t, b, a)
			b.wantMedia(t, k, content)
			if got := a.states(t, k); !cmp.Equal(got, []string{"bob@b.example stored"}) {
				t.Errorf("they are %v", got)
			}
			got := strings.Join(a.asked.answered(), "\n") // whether the log is read depends on who is faster
			if !strings.Contains(got, "GET vam/v1/m/*/e/* 200 200") || !strings.Contains(got, "rcpt/*/stored 201 200") || strings.Contains(got, " 4") || strings.Contains(got, " 5") {
				t.Errorf("what was asked for:\n%s", got)
			}
		})
	}
}

// TestExchangeHeld lets recipients decide first.
func TestExchangeHeld(t *testing.T) {
	w := newWorld(t)
	a := w.start(t, amclient.Auto, "alice@a.example", hosttest.Options{})
	b := w.start(t, amclient.Auto, "bob@b.example", hosttest.Options{Hold: true})
	carol, dave := b.Account("carol@b.example", 0), b.Account("dave@b.example", 0)
	k := a.draft(t, submission.Draft{To: to(t, "bob@b.example", "carol@b.example", "dave@b.example")})
	a.add(t, k, activmail.Record{Kind: activmail.RecordPart}, []byte("film"))
	a.seal(t, k)
	a.send(t, k)
	work(t, a, b)
	if got := a.states(t, k); !cmp.Equal(got, []string{"bob@b.example held", "carol@b.example held", "dave@b.example held"}) {
		t.Errorf("they are %v", got)
	}
	if b.peers.Media(amclient.TCP)+b.peers.Media(amclient.UDP) != 0 {
		t.Error("media was fetched before anybody wanted it")
	}
	for range 2 {
		if err := b.Reception.Accept(t.Context(), b.user, k); err != nil {
			t.Fatal(err)
		}
		if err := b.Reception.Decline(t.Context(), carol, k, true); err != nil {
			t.Fatal(err)
		}
		if err := b.Reception.Decline(t.Context(), dave, k, false); err != nil {
			t.Fatal(err)
		}
	}
	work(t, b, a)
	if got := a.states(t, k); !cmp.Equal(got, []string{"bob@b.example stored", "carol@b.example declined", "dave@b.example held"}) {
		t.Errorf("they are %v", got)
	}
	b.wantMedia(t, k, []byte("film"))
	// The second message of somebody who is known needs no decision.
	k = a.draft(t, submission.Draft{To: to(t, "bob@b.example")})
	a.seal(t, k)
	a.send(t, k)
	work(t, a, b)
	if got := a.states(t, k); !cmp.Equal(got, []string{"bob@b.example stored"}) {
		t.Errorf("they are %v", got)
	}
}

// TestExchangeLate pulls when the token of the offer has run out (AM-7.22).
func TestExchangeLate(t *testing.T) {
	w := newWorld(t)
	clock := hosttest.New(t, hosttest.Options{}).Clock
	a := w.start(t, amclient.Auto, "alice@a.example", hosttest.Options{Clock: clock})
	b := w.start(t, amclient.Auto, "bob@b.example", hosttest.Options{Clock: clock, Hold: true})
	k := a.draft(t, submission.Draft{To: to(t, "bob@b.example")})
	a.add(t, k, activmail.Record{Kind: activmail.RecordPart}, []byte("film"))
	a.seal(t, k)
	a.send(t, k)
	work(t, a, b)
	clock.Advance(activmail.MaxTokenLife - time.Minute)
	if err := b.Reception.Accept(t.Context(), b.user, k); err != nil {
		t.Fatal(err)
	}
	work(t, b, a)
	b.wantMedia(t, k, []byte("film"))
	if got := b.entry(t, b.user, k); got != mailbox.Stored {
		t.Errorf("bob has it %s", got)
	}
	if got := strings.Join(a.asked.answered(), "\n"); !strings.Contains(got, "/token ") {
		t.Errorf("no token was asked for:\n%s", got)
	}
}
