package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amclient"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

// trialResult is what `vam try --send --json` prints; keys are stable.
type trialResult struct {
	ID                 vam.MessageID `json:"message_id"`
	Transport          string        `json:"transport"` // what carried the media: tcp or udp
	MediaBytes         int64         `json:"media_bytes"`
	WireBytes          int64         `json:"wire_bytes"`            // what the HTTP connections between the two servers carried in both directions, headers included, before TLS or QUIC framing
	SecondsToFirstPart float64       `json:"seconds_to_first_part"` // from acceptance on, at the recipient's server
	SecondsToStored    float64       `json:"seconds_to_stored"`     // the same for all of it, durable and verified
	SHA256Sent         string        `json:"sha256_sent"`
	SHA256Stored       string        `json:"sha256_stored"`
	Equal              bool          `json:"equal"` // of the two hashes
}

// send sends a file from alice to bob and follows it to the end.
func (t *trial) send(ctx context.Context, e *env, c tryCmd) (trialResult, error) {
	var r trialResult
	f, before, err := openFile(c.Send)
	if err != nil {
		return r, err
	}
	defer f.Close()
	name := filepath.Base(c.Send)
	d := userwire.Draft{To: []string{t.b.account.String()}, Subject: subjectOf(name), Name: name}
	if err := (sendCmd{Kind: "auto"}).describe(f, &d); err != nil {
		return r, fileError(err, c.Send)
	}
	e.note("alice@a.test sends %s to bob@b.test; the two are in each other's contacts", safe(d.Name))
	r.ID = vam.NewMessageID(time.Now())
	wire, udp := t.wire(), t.b.server.MediaOver(amclient.UDP)
	w := t.watch(ctx, message.Key{Origin: t.a.domain, ID: r.ID})
	defer w.stop()
	alice := t.client(t.a)
	defer func() { _ = alice.Close() }()
	p := e.progress(d.Name, vam.Bytes(before.Size()), nil)
	up := userclient.Upload{
		Client: alice, ID: r.ID, Draft: d, Progress: func(n int64) { p.Set(vam.Bytes(n)) },
		Verify: func() error { return unchanged(c.Send, f, before) },
	}
	m, err := up.Send(ctx, f, before.Size())
	accepted := time.Now()
	if err != nil {
		p.Done("")
		return r, err
	}
	p.Done("accepted by a.test")
	seen, err := t.arrival(ctx, alice, r.ID, w)
	if err != nil {
		return r, err
	}
	r.MediaBytes = m.Bytes
	r.SecondsToFirstPart, r.SecondsToStored = max(0, seen.first.Sub(accepted).Seconds()), max(0, seen.stored.Sub(accepted).Seconds())
	r.WireBytes = t.wire() - wire
	r.Transport = string(amclient.TCP)
	if t.b.server.MediaOver(amclient.UDP) > udp || m.Bytes == 0 && c.Transport == string(amclient.UDP) {
		r.Transport = string(amclient.UDP)
	}
	bob := t.client(t.b)
	defer func() { _ = bob.Close() }()
	if r.SHA256Stored, err = hashOf(ctx, bob, t.a.domain, r.ID); err != nil {
		return r, err
	}
	r.SHA256Sent, err = hashFile(ctx, f, before.Size())
	r.Equal = r.SHA256Sent == r.SHA256Stored
	return r, err
}

// watchLink is a link to what bob got of a message of alice's.
func (t *trial) watchLink(ctx context.Context, id vam.MessageID) (string, error) {
	bob := t.client(t.b)
	defer func() { _ = bob.Close() }()
	l, err := bob.Link(ctx, t.a.domain, id, userwire.LinkTerms{For: t.b.account.String()})
	return l.URL, err
}

func (t *trial) wire() int64 { return t.a.server.Wire() + t.b.server.Wire() }

func (t *trial) client(s *side) *userclient.Client {
	return userclient.New(userclient.Options{
		Address: s.addr.String(), ServerName: s.domain.String(), Token: activmail.Token(s.token), Roots: t.ca.Pool(), Patience: longPatience,
	})
}

// sighting is when bob's server had the first part and all of a message.
type sighting struct{ first, stored time.Time }

// watch looks at bob's server while a message arrives.
type watch struct {
	seen  sighting
	err   error
	bytes atomic.Int64  // that are there
	done  chan struct{} // closed when seen and err are final
	end   context.CancelFunc
}

// watch begins to look. Stop it.
func (t *trial) watch(ctx context.Context, k message.Key) *watch {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{done: make(chan struct{}), end: cancel}
	go func() {
		defer close(w.done)
		w.err = w.follow(ctx, t.b.server.Messages(), k)
	}()
	return w
}

// stop returns when nobody looks any more.
func (w *watch) stop() {
	w.end()
	<-w.done
}

func (w *watch) follow(ctx context.Context, messages *message.Service, k message.Key) error {
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		m, err := messages.Get(ctx, k)
		if err != nil && vam.KindOf(err) != vam.NotFound {
			return err
		}
		if err == nil {
			w.bytes.Store(available(ctx, messages, k))
		}
		if w.seen.first.IsZero() && w.bytes.Load() > 0 {
			w.seen.first = time.Now()
		}
		if err == nil && m.Complete {
			w.seen.stored = time.Now()
			if w.seen.first.IsZero() {
				w.seen.first = w.seen.stored
			}
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// available is how much of the media is there from its start on.
func available(ctx context.Context, messages *message.Service, k message.Key) int64 {
	media, err := messages.OpenMedia(ctx, k)
	if err != nil {
		return 0
	}
	defer func() { _ = media.Close() }()
	return media.Available(0)
}

// standstill is how long nothing may happen on the way from one server to the other of
// the same machine before something is wrong.
const standstill = time.Minute

// arrival waits until bob's server has the message and alice's knows that. Unavailable
// with the reason when it is refused, or gets nowhere.
func (t *trial) arrival(ctx context.Context, alice *userclient.Client, id vam.MessageID, w *watch) (sighting, error) {
	type position struct {
		state    vam.RecipientState
		attempts int
		bytes    int64
	}
	var last position
	moved := time.Now()
	for {
		m, err := alice.Message(ctx, id)
		if err != nil {
			return sighting{}, err
		}
		if len(m.Recipients) != 1 {
			return sighting{}, vam.Errorf(vam.Internal, "the message has %d recipients", len(m.Recipients))
		}
		r := m.Recipients[0]
		now := position{r.State, r.Attempts, w.bytes.Load()}
		switch {
		case r.State.Arrived():
			<-w.done
			return w.seen, w.err
		case r.State.Final():
			return sighting{}, vam.Errorf(vam.Unavailable, "for bob@b.test it is %s: %s", r.State, r.Text)
		case now != last:
			last, moved = now, time.Now()
		case time.Since(moved) > standstill:
			return sighting{}, vam.Errorf(vam.Unavailable, "it got nowhere for %s; for bob@b.test it is %s: %s", standstill, r.State, r.Text)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return sighting{}, ctx.Err()
		}
	}
}

// hashOf reads the message as its recipient would.
func hashOf(ctx context.Context, client *userclient.Client, origin vam.Domain, id vam.MessageID) (string, error) {
	body, _, err := client.Media(ctx, origin, id, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, body); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func hashFile(ctx context.Context, f io.ReaderAt, size int64) (string, error) {
	h := sha256.New()
	buf := make([]byte, 1<<20)
	for at := int64(0); at < size; {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		h.Write(buf[:n])
		if at += int64(n); err != nil && at < size {
			return "", vam.Wrap(vam.Unavailable, err, "the file cannot be read again")
		}
		if err := ctx.Err(); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (r trialResult) print(e *env) error {
	if e.JSON {
		return e.printJSON(r)
	}
	verdict := "equal"
	if !r.Equal {
		verdict = "NOT EQUAL"
	}
	overhead := ""
	if r.MediaBytes > 0 {
		overhead = fmt.Sprintf(" (%.4f of the media)", float64(r.WireBytes)/float64(r.MediaBytes))
	}
	fmt.Fprintf(e.out, "\n  message         %s\n  transport       %s\n  media           %d octets\n  on the wire     %d octets%s\n", r.ID, r.Transport, r.MediaBytes, r.WireBytes, overhead)
	fmt.Fprintf(e.out, "  first part      %.3f s after it was accepted\n  stored          %.3f s, durable and verified\n", r.SecondsToFirstPart, r.SecondsToStored)
	fmt.Fprintf(e.out, "  sha256 sent     %s\n  sha256 stored   %s\n  %s\n", r.SHA256Sent, r.SHA256Stored, verdict)
	return nil
}
