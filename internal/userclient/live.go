package userclient

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/userwire"
)

const (
	// liveSlice is how long a part of a live recording collects what comes, at least.
	// While the server is slow to take one, the next one grows.
	liveSlice = 100 * time.Millisecond
	// livePart is about the greatest length of a part, in octets. With two round trips
	// for each, a path of 400 ms carries 20 Mbit/s.
	livePart = 2 << 20
	// linger is how long a recording that was stopped may still bring its end: a recorder
	// that the same Ctrl-C stopped writes its last octets only then.
	linger = 2 * time.Second
)

// Live sends the message first and then what r brings, as it comes, until it ends; then
// it seals. A recipient watches meanwhile. When ctx ends after the message was sent, the
// recording ends there, and is sealed like one that came to its end. A failure leaves
// the message interrupted: what came so far stays.
func (u *Upload) Live(ctx context.Context, r io.Reader) (userwire.Message, error) {
	m, err := u.Client.Put(ctx, u.ID, u.Draft)
	if err != nil {
		return m, err
	}
	if m, err = u.Client.Send(ctx, u.ID); err != nil {
		return m, err
	}
	// The end of ctx ends the recording and not the upload, which gets a last while.
	last, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(linger+u.Client.o.Patience+dialTimeout, cancel)
		context.AfterFunc(last, func() { t.Stop() })
	})
	defer stop()
	sum, err := u.record(last, ctx.Done(), r, m)
	if err != nil {
		return m, err
	}
	return u.Client.Seal(last, u.ID, sum)
}

// record uploads slices and names each in the log.
func (u *Upload) record(ctx context.Context, stop <-chan struct{}, r io.Reader, m userwire.Message) (activmail.Sum, error) {
	slices := make(chan []byte)
	var broken error
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(slices)
		broken = slice(ctx, stop, r, slices)
		return nil // what was read before it broke is still uploaded
	})
	digest := sha256.New()
	g.Go(func() error {
		at, lines := m.Bytes, m.Lines
		for data := range slices {
			digest.Write(data)
			sum := activmail.Sum(sha256.Sum256(data))
			if err := u.Client.Upload(ctx, u.ID, sum, at, data); err != nil {
				return err
			}
			line, err := partLine(sum, int64(len(data)))
			if err != nil {
				return err
			}
			after, err := u.appendLines(ctx, lines, [][]byte{line})
			if err != nil {
				return err
			}
			at, lines = after.Bytes, after.Lines
			if u.Progress != nil {
				u.Progress(at)
			}
		}
		return nil
	})
	err := g.Wait()
	if err == nil {
		err = broken
	}
	return activmail.Sum(digest.Sum(nil)), err
}

// slice cuts a stream into parts: what came within liveSlice, or for as long as nobody
// took the part before, at most livePart. When stop is closed, the stream has linger left
// to end by itself.
func slice(ctx context.Context, stop <-chan struct{}, r io.Reader, out chan<- []byte) error {
	chunks, end := readChunks(ctx, r)
	defer end()
	var (
		part    []byte
		due     bool             // part is old enough
		ended   bool             // nothing comes any more
		enough  <-chan time.Time // linger is over
		timer   = time.NewTimer(liveSlice)
		failure error
	)
	defer timer.Stop()
	for !ended || len(part) > 0 {
		in := chunks
		if ended || len(part) >= livePart {
			in = nil
		}
		var ready chan<- []byte
		if len(part) > 0 && (due || ended || len(part) >= livePart) {
			ready = out
		}
		select {
		case c := <-in:
			part = append(part, c.data...)
			if c.err != nil {
				ended = true
				if !errors.Is(c.err, io.EOF) {
					failure = vam.Wrap(vam.Unavailable, c.err, "the recording cannot be read on")
				}
			}
		case ready <- part:
			part, due = nil, false
			timer.Reset(liveSlice)
		case <-timer.C:
			due = true
		case <-stop:
			stop = nil
			t := time.NewTimer(linger)
			defer t.Stop()
			enough = t.C
		case <-enough:
			ended = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return failure
}

// chunk is what one Read brought.
type chunk struct {
	data []byte
	err  error
}

// readChunks reads r in a goroutine of its own, until it ends or end was called. A Read
// that is under way then and cannot be interrupted holds the goroutine until it returns.
func readChunks(ctx context.Context, r io.Reader) (chunks <-chan chunk, end func()) {
	out := make(chan chunk, 4)
	ctx, cancel := context.WithCancel(ctx)
	var stopped atomic.Bool
	go func() {
		for !stopped.Load() {
			buf := make([]byte, 64<<10)
			n, err := r.Read(buf)
			select {
			case out <- chunk{buf[:n], err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return out, func() {
		stopped.Store(true)
		cancel()
		if d, ok := r.(interface{ SetReadDeadline(time.Time) error }); ok {
			_ = d.SetReadDeadline(time.Now()) // wakes a pipe that nothing comes from
		}
	}
}
