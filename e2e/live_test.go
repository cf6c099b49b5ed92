package e2e_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/e2e/harness"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

// recording is a message that is sent while it is made: what a test writes to it.
type recording struct {
	ID vam.MessageID

	pipe *io.PipeWriter
	done chan error
	sent userwire.Message
}

// record begins a recording of u for others. It goes on over restarts of the server.
func record(t *testing.T, u *harness.User, to ...*harness.User) *recording {
	t.Helper()
	var addrs []vam.Address
	for _, o := range to {
		addrs = append(addrs, o.Addr)
	}
	r, w := io.Pipe()
	d := harness.DraftTo(addrs...)
	d.Kind = string(vam.Video)
	up := userclient.Upload{Client: u.Client(harness.Patience), ID: vam.NewMessageID(time.Now()), Draft: d}
	rec := &recording{ID: up.ID, pipe: w, done: make(chan error, 1)}
	ctx := t.Context()
	go func() {
		m, err := up.Live(ctx, r)
		_ = r.CloseWithError(err)
		rec.sent = m
		rec.done <- err
	}()
	t.Cleanup(func() { _ = w.Close() })
	return rec
}

// seal ends the recording in order.
func (r *recording) seal(t *testing.T) {
	t.Helper()
	if err := r.pipe.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-r.done; err != nil {
		t.Fatalf("the recording was not sealed: %v", err)
	}
}

func (r *recording) write(t *testing.T, p []byte) {
	t.Helper()
	if _, err := r.pipe.Write(p); err != nil {
		t.Fatal(err)
	}
}

// TestLive records from a pipe. The recipient has each piece while the next one is not
// made yet.
func TestLive(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"tcp", "udp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			env := []string{"VAM_TRANSPORT_PREFER=" + transport}
			p := newPair(t, harness.Options{Env: env}, harness.Options{Env: env})
			content := harness.Content(30, 400_000)
			rec := record(t, p.alice, p.bob)
			p.bob.AwaitEntry("the recording is announced", p.a.Domain, rec.ID, harness.InState("arriving"))
			rec.write(t, content[:100])
			body := readLive(t, p.bob, p.a.Domain, rec.ID)
			got := make([]byte, 0, len(content))
			for at := 0; at < len(content); {
				n := min(len(content)-at, 30_000)
				if at == 0 {
					n = 100
				} else {
					rec.write(t, content[at:at+n])
				}
				// The read returns only when what was just recorded is there.
				piece := make([]byte, n)
				if _, err := io.ReadFull(body, piece); err != nil {
					t.Fatalf("reading at %d while it is recorded: %v", at, err)
				}
				got = append(got, piece...)
				at += n
			}
			rec.seal(t)
			if rest, err := io.ReadAll(body); err != nil || len(rest) > 0 {
				t.Errorf("after the end %d octets came: %v", len(rest), err)
			}
			if !bytes.Equal(got, content) {
				t.Error("what was watched is not what was recorded")
			}
			p.alice.AwaitRecipient(rec.ID, p.bob.Addr, vam.Stored)
			p.bob.Holds(p.a.Domain, rec.ID, content)
			if e := p.bob.AwaitStored(p.a.Domain, rec.ID); !e.Sealed || e.SHA256 != harness.Sum(content) {
				t.Errorf("the entry is %+v", e)
			}
		})
	}
}

// readLive opens a recording as a player does, which waits for what is not there yet.
func readLive(t *testing.T, u *harness.User, origin vam.Domain, id vam.MessageID) io.Reader {
	t.Helper()
	c := u.Client(harness.Patience)
	body := harness.Await(t, "the recording can be read", func(ctx context.Context) (io.ReadCloser, error) {
		body, _, err := c.Media(t.Context(), origin, id, 0)
		if vam.KindOf(err) == vam.NotFound && err != nil {
			err = harness.ErrPending
		}
		return body, err
	})
	t.Cleanup(func() { _ = body.Close() })
	return body
}

// TestLiveOverKills kills the author's server and then the recipient's in the middle of
// a recording. The author's program goes on (AM-13.11), and nothing is missing.
func TestLiveOverKills(t *testing.T) {
	t.Parallel()
	p := newPair(t, harness.Options{}, harness.Options{})
	content := harness.Content(31, 600_000)
	rec := record(t, p.alice, p.bob)
	third := len(content) / 3
	rec.write(t, content[:third])
	p.bob.AwaitEntry("the first third is there", p.a.Domain, rec.ID, func(e userwire.Entry) bool { return e.Available >= int64(third) })
	p.a.Kill()
	p.a.Start()
	rec.write(t, content[third:2*third])
	p.bob.AwaitEntry("the second third is there", p.a.Domain, rec.ID, func(e userwire.Entry) bool { return e.Available >= int64(2*third) })
	p.b.Kill()
	p.b.Start()
	rec.write(t, content[2*third:])
	rec.seal(t)
	p.alice.AwaitRecipient(rec.ID, p.bob.Addr, vam.Stored)
	p.bob.Holds(p.a.Domain, rec.ID, content)
	p.a.Check()
	p.b.Check()
}

// TestLiveFromACommand pipes a recording into `vam send --live`, and ends a second one
// by killing the program: that one is interrupted, and nobody seals what nobody ended.
func TestLiveFromACommand(t *testing.T) {
	t.Parallel()
	p := newPair(t, harness.Options{}, harness.Options{})
	content := harness.Content(32, 300_000)
	whole := p.alice.Command("send", "--live", "-", p.bob.Addr.String(), "--json")
	whole.Stdin = bytes.NewReader(content)
	out, err := whole.Output()
	if err != nil {
		t.Fatalf("send --live: %v", err)
	}
	m := decode[userwire.Message](t, string(out))
	p.bob.Holds(p.a.Domain, m.ID, content)

	broken := p.alice.Command("send", "--live", "-", p.bob.Addr.String())
	in, err := broken.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := broken.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(content[:100_000]); err != nil {
		t.Fatal(err)
	}
	e := awaitNewest(t, p.bob, m.ID)
	p.bob.AwaitEntry("what was recorded is there", p.a.Domain, e.ID, func(e userwire.Entry) bool { return e.Available == 100_000 })
	_ = broken.Process.Kill()
	_ = broken.Wait() // killed
	p.a.Stop()
	p.a.Start()
	p.b.Stop()
	p.b.Start()
	got := p.bob.AwaitEntry("the recording is still there", p.a.Domain, e.ID, func(e userwire.Entry) bool { return e.Available == 100_000 })
	if got.Sealed || got.State != "arriving" {
		t.Errorf("an interrupted recording is %+v", got)
	}
	if s := p.alice.Message(e.ID); !s.Sealed.IsZero() || s.State != vam.Live {
		t.Errorf("at its origin an interrupted recording is %s, sealed %v", s.State, s.Sealed)
	}
	// Its author ends it: what there is becomes the message.
	if _, err := p.alice.Client(harness.Patience).Seal(t.Context(), e.ID, [32]byte{}); err != nil {
		t.Fatal(err)
	}
	p.bob.Holds(p.a.Domain, e.ID, content[:100_000])
}

// awaitNewest waits for an entry of the inbox that is newer than one.
func awaitNewest(t *testing.T, u *harness.User, after vam.MessageID) userwire.Entry {
	t.Helper()
	return harness.Await(t, "another message", func(context.Context) (userwire.Entry, error) {
		for _, e := range u.Inbox() {
			if e.ID > after && !e.Bounce {
				return e, nil
			}
		}
		return userwire.Entry{}, harness.ErrPending
	})
}
