package hosttest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/reception"
)

var _ reception.Peers = (*Away)(nil)

// Away is all other domains: it serves recordings without a network, as badly as it is
// told to. Set its hooks before use.
type Away struct {
	// Fail, if not nil, may end a request: "origin", "log", "entry", "media", "blob",
	// "renew", "receipt".
	Fail func(op string) error
	// Cut ends a body of media after that many octets; 0 is never.
	Cut atomic.Int64
	// Lie changes what a body of media or a blob has; off is -1 for a blob.
	Lie func(off int64, data []byte) []byte
	// Few is how many lines one answer has at most; 0 is all.
	Few int64
	// Endless sends lines of a log for as long as somebody takes them.
	Endless bool
	// Impatient answers at once that there is nothing yet.
	Impatient bool
	// Token, if not nil, says whether a token is taken.
	Token func(activmail.Token) bool

	mu       sync.Mutex
	recs     map[message.Key]*Recording
	asked    map[string]int
	media    int64
	receipts []activmail.Receipt
}

// Add makes a recording reachable.
func (a *Away) Add(r *Recording) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.recs == nil {
		a.recs = map[message.Key]*Recording{}
	}
	a.recs[r.Key] = r
}

// Asked is how often something was asked for.
func (a *Away) Asked(op string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[op]
}

// MediaBytes is how many octets of media went out.
func (a *Away) MediaBytes() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.media
}

// Receipts are those that were taken, as "address event".
func (a *Away) Receipts() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for _, r := range a.receipts {
		out = append(out, fmt.Sprintf("%s %s", r.Recipient, r.Event))
	}
	slices.Sort(out)
	return out
}

func (a *Away) count(op string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asked == nil {
		a.asked = map[string]int{}
	}
	a.asked[op]++
}

func (a *Away) begin(op string) error {
	a.count(op)
	if a.Fail == nil {
		return nil
	}
	return a.Fail(op)
}

// Origin implements reception.Peers.
func (a *Away) Origin(_ context.Context, _ vam.Domain, k message.Key, token activmail.Token) (reception.Origin, error) {
	if err := a.begin("origin"); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.recs[k]
	if r == nil {
		return nil, vam.Errorf(vam.Unavailable, "%s cannot be reached", k.Origin)
	}
	return &awayOrigin{a: a, r: r, token: token}, nil
}

// RenewToken implements reception.Peers.
func (a *Away) RenewToken(context.Context, vam.Domain, message.Key, vam.MessageID) (activmail.Token, time.Time, error) {
	if err := a.begin("renew"); err != nil {
		return "", time.Time{}, err
	}
	return activmail.NewPullToken(), time.Now().Add(100 * activmail.MaxTokenLife).Truncate(time.Second), nil
}

// PutReceipt implements reception.Peers.
func (a *Away) PutReceipt(_ context.Context, as vam.Domain, _ message.Key, r activmail.Receipt) error {
	if err := a.begin("receipt"); err != nil {
		return err
	}
	if r.Recipient.Domain != as {
		return vam.Errorf(vam.Denied, "%s speaks for %s", as, r.Recipient)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.receipts = append(a.receipts, r)
	return nil
}

type awayOrigin struct {
	a     *Away
	r     *Recording
	token activmail.Token
}

func (o *awayOrigin) Close() error { return nil }

func (o *awayOrigin) begin(op string) error {
	if err := o.a.begin(op); err != nil {
		return err
	}
	if o.a.Token != nil && !o.a.Token(o.token) {
		return vam.Errorf(vam.Unauthenticated, "the token is not taken").WithProblem("token-invalid")
	}
	if op != "log" && o.r.Revoked() {
		return vam.Errorf(vam.Gone, "the sender took it back").WithProblem("revoked")
	}
	return nil
}

func (o *awayOrigin) Log(ctx context.Context, from int64, _ time.Duration, take func([]byte) error) ([]byte, error) {
	if err := o.begin("log"); err != nil {
		return nil, err
	}
	size := o.r.Size()
	if o.a.Endless {
		line := append(append([]byte(`{"k":"note","x":"`), bytes.Repeat([]byte("x"), 2000)...), '"', '}')
		for {
			if err := take(line); err != nil {
				return nil, err
			}
			o.a.count("line")
		}
	}
	if from >= size {
		return nil, nil
	}
	limit := size - from
	if o.a.Few > 0 {
		limit = min(limit, o.a.Few)
	}
	for _, line := range o.r.Lines(from, limit) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := take(line); err != nil {
			return nil, err
		}
	}
	return o.r.Checkpoint(size), nil
}

func (o *awayOrigin) Entry(ctx context.Context, n int64, wait time.Duration) (line, checkpoint, data []byte, err error) {
	if err := o.begin("entry"); err != nil {
		return nil, nil, nil, err
	}
	if o.a.Impatient {
		wait = 0
	}
	wctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if !o.r.WaitFor(wctx, n) {
		return nil, nil, nil, ctx.Err()
	}
	line = o.r.Lines(n, 1)[0]
	rec, err := activmail.ParseRecord(line, activmail.DefaultLimits())
	if err != nil {
		return nil, nil, nil, err
	}
	return line, o.r.Checkpoint(n + 1), o.r.Blob(rec.Blob), nil
}

func (o *awayOrigin) Media(_ context.Context, off, n int64) (io.ReadCloser, error) {
	if err := o.begin("media"); err != nil {
		return nil, err
	}
	media := o.r.Media()
	data := media[min(off, int64(len(media))):min(off+n, int64(len(media)))]
	if o.a.Lie != nil {
		data = o.a.Lie(off, slices.Clone(data))
	}
	if cut := o.a.Cut.Load(); cut > 0 {
		data = data[:min(int64(len(data)), cut)]
	}
	return io.NopCloser(&counted{bytes.NewReader(data), o.a}), nil
}

func (o *awayOrigin) Blob(_ context.Context, sum activmail.Sum, _ int64) ([]byte, error) {
	if err := o.begin("blob"); err != nil {
		return nil, err
	}
	data := o.r.Blob(sum)
	if data == nil {
		return nil, vam.Errorf(vam.NotFound, "there is no such blob")
	}
	if o.a.Lie != nil {
		data = o.a.Lie(-1, slices.Clone(data))
	}
	return data, nil
}

// counted counts octets of media.
type counted struct {
	r io.Reader
	a *Away
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.a.mu.Lock()
	c.a.media += int64(n)
	c.a.mu.Unlock()
	return n, err
}
