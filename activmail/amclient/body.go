package amclient

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
)

// enoughToMeasure is the least that says something about the rate of a path.
const enoughToMeasure = 256 << 10

// body reads the body of an answer. It gives up when no octet comes for a while,
// measures the rate, and gives the connection back when it is closed. One goroutine
// reads; any may close.
type body struct {
	io.ReadCloser
	client  *Client
	ctx     context.Context
	cancel  context.CancelCauseFunc
	end     func(spoiled bool, cause error)
	network Network
	bulk    bool
	probe   bool
	watch   *watch
	once    sync.Once

	mu     sync.Mutex
	octets int64
	waited time.Duration
	whole  bool // read to its end
	failed error
	// window is what came, and how long it was waited for, since the rate was last found
	// good enough.
	window struct {
		octets int64
		waited time.Duration
	}
}

// Read reads what is there. Errors: Unavailable (broken, stalled, slow, closed) (AM-7.27).
func (b *body) Read(p []byte) (int, error) {
	b.watch.start()
	n, err := b.ReadCloser.Read(p)
	waited := b.watch.stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.countLocked(n, waited)
	b.whole = b.whole || errors.Is(err, io.EOF)
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := context.Cause(b.ctx); cause != nil {
			err = cause
		}
		err = vam.Wrap(vam.Unavailable, err, "the answer broke off after %v over %s", vam.Bytes(b.octets), b.network)
		b.failed = err
	}
	return n, err
}

// countLocked notes what came, and gives up an answer that is too slow. Only the time
// that was spent waiting counts, not that of a reader who has other things to do.
func (b *body) countLocked(n int, waited time.Duration) {
	b.octets += int64(n)
	b.waited += waited
	b.window.octets += int64(n)
	b.window.waited += waited
	if b.window.waited < slowWindow {
		return
	}
	if b.window.octets < slowOctets {
		b.cancel(errSlow())
	}
	b.window.octets, b.window.waited = 0, 0
}

// Close ends the answer, read whole or not. A connection that broke or fell silent
// under it takes no new requests.
func (b *body) Close() error {
	b.once.Do(func() {
		b.mu.Lock()
		failed := b.failed
		spoiled := failed != nil && !errors.Is(failed, context.Canceled) && !errors.Is(failed, context.DeadlineExceeded) && b.client.ctx.Err() == nil
		if b.network != store {
			b.noteLocked(spoiled)
		}
		b.mu.Unlock()
		b.end(spoiled, context.Canceled)
		_ = b.ReadCloser.Close()
	})
	return nil
}

// noteLocked tells the choice of networks what became of the answer.
func (b *body) noteLocked(spoiled bool) {
	choice, now := b.client.choice, b.client.options.Now()
	if spoiled {
		choice.failed(now, b.network, b.bulk, b.probe)
		return
	}
	if b.octets >= enoughToMeasure {
		choice.observe(now, b.network, b.octets, b.waited, b.probe)
	} else {
		choice.abandon(b.probe)
	}
	if b.whole || !b.bulk || b.octets >= enoughToMeasure {
		choice.carried(b.network, b.bulk)
	}
}
