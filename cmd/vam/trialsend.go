package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	ID         vam.MessageID `json:"message_id"`
	Transport  string        `json:"transport"` // what carried the media: tcp or udp
	MediaBytes int64         `json:"media_bytes"`
	// WireBytes is what the HTTP connections between the two servers carried in both
	// directions, headers included, before TLS or QUIC framing.
	WireBytes          int64   `json:"wire_bytes"`
	SecondsToFirstPart float64 `json:"seconds_to_first_part"` // at the recipient's server, from acceptance on
	SecondsToStored    float64 `json:"seconds_to_stored"`     // the same for all of it, durable
	SHA256Sent         string  `json:"sha256_sent"`
	SHA256Stored       string  `json:"sha256_stored"`
	Equal              bool    `json:"equal"`
}

// send sends a file from alice to bob and follows it to the end.
func (t *trial) send(ctx context.Context, e *env, path string) (trialResult, error) {
	var r trialResult
	f, err := os.Open(path)
	if err != nil {
		return r, fileError(err, path)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return r, vam.Wrap(vam.Invalid, err, "%s is no ordinary file", path)
	}
	d := userwire.Draft{To: []string{t.b.account.String()}, Subject: filepath.Base(path), Name: filepath.Base(path)}
	if err := (sendCmd{Kind: "auto"}).describe(f, &d); err != nil {
		return r, fileError(err, path)
	}
	e.note("alice@a.test sends %s to bob@b.test; the two are in each other's contacts", safe(d.Name))
	wire, udp := t.wire(), t.b.server.MediaOver(amclient.UDP)
	r.ID = vam.NewMessageID(time.Now())
	alice := t.client(t.a)
	defer func() { _ = alice.Close() }()
	p := e.progress(d.Name, vam.Bytes(info.Size()), nil)
	up := userclient.Upload{Client: alice, ID: r.ID, Draft: d, Progress: func(n int64) { p.Set(vam.Bytes(n)) }}
	watch := t.watch(ctx, message.Key{Origin: t.a.domain, ID: r.ID})
	m, err := up.Send(ctx, f, info.Size())
	accepted := time.Now()
	if err != nil {
		p.Done("")
		return r, err
	}
	p.Done("accepted by a.test")
	seen, err := watch()
	if err != nil {
		return r, err
	}
	r.MediaBytes, r.SHA256Sent = m.Bytes, m.SHA256
	r.SecondsToFirstPart, r.SecondsToStored = max(0, seen.first.Sub(accepted).Seconds()), max(0, seen.stored.Sub(accepted).Seconds())
	if err := t.receipt(ctx, alice, r.ID); err != nil {
		return r, err
	}
	r.WireBytes = t.wire() - wire
	r.Transport = string(amclient.TCP)
	if t.b.server.MediaOver(amclient.UDP) > udp {
		r.Transport = string(amclient.UDP)
	}
	bob := t.client(t.b)
	defer func() { _ = bob.Close() }()
	if r.SHA256Stored, err = hashOf(ctx, bob, t.a.domain, r.ID); err != nil {
		return r, err
	}
	sent, err := hashFile(f, info.Size())
	r.SHA256Sent, r.Equal = sent, sent == r.SHA256Stored
	return r, err
}

func (t *trial) wire() int64 { return t.a.server.Wire() + t.b.server.Wire() }

func (t *trial) client(s *side) *userclient.Client {
	return userclient.New(userclient.Options{
		Address: s.addr.String(), ServerName: s.domain.String(), Token: activmail.Token(s.token), Roots: t.ca.Pool(), Patience: patience,
	})
}

// sighting is when bob's server had the first part and all of a message.
type sighting struct{ first, stored time.Time }

// watch begins to look at bob's server and returns a function that waits for the end.
func (t *trial) watch(ctx context.Context, k message.Key) func() (sighting, error) {
	type result struct {
		sighting
		err error
	}
	out := make(chan result, 1)
	go func() {
		var r result
		r.sighting, r.err = follow(ctx, t.b.server.Messages(), k)
		out <- r
	}()
	return func() (sighting, error) {
		select {
		case r := <-out:
			return r.sighting, r.err
		case <-ctx.Done():
			return sighting{}, ctx.Err()
		}
	}
}

func follow(ctx context.Context, messages *message.Service, k message.Key) (s sighting, err error) {
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		m, err := messages.Get(ctx, k)
		if err != nil && vam.KindOf(err) != vam.NotFound {
			return s, err
		}
		if s.first.IsZero() && err == nil && playable(ctx, messages, k) {
			s.first = time.Now()
		}
		if err == nil && m.Complete {
			s.stored = time.Now()
			if s.first.IsZero() {
				s.first = s.stored
			}
			return s, nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return s, ctx.Err()
		}
	}
}

// playable reports whether the first part is there.
func playable(ctx context.Context, messages *message.Service, k message.Key) bool {
	media, err := messages.OpenMedia(ctx, k)
	if err != nil {
		return false
	}
	defer func() { _ = media.Close() }()
	return media.Available(0) > 0
}

// receipt waits until alice's server knows that bob's has the message.
func (t *trial) receipt(ctx context.Context, alice *userclient.Client, id vam.MessageID) error {
	for {
		m, err := alice.Message(ctx, id)
		if err != nil {
			return err
		}
		if len(m.Recipients) == 1 && m.Recipients[0].State.Arrived() {
			return nil
		}
		if len(m.Recipients) == 1 && m.Recipients[0].State.Final() {
			return vam.Errorf(vam.Unavailable, "bob@b.test is %s: %s", m.Recipients[0].State, m.Recipients[0].Text)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
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

func hashFile(f io.ReaderAt, size int64) (string, error) {
	h := sha256.New()
	n, err := io.Copy(h, io.NewSectionReader(f, 0, size))
	if err == nil && n != size {
		err = errors.New("the file became shorter")
	}
	if err != nil {
		return "", vam.Wrap(vam.Unavailable, err, "the file cannot be read again")
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
