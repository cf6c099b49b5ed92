package reception

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
	"golang.org/x/sync/errgroup"
)

// Peers reaches other domains.
type Peers interface {
	// Origin opens the way to a message at its origin, in the name of the domain as.
	// Errors: NotVAM, Unavailable.
	Origin(ctx context.Context, as vam.Domain, k message.Key, token activmail.Token) (Origin, error)
	// RenewToken asks k's origin, in the name of the domain as, for another pull token.
	RenewToken(ctx context.Context, as vam.Domain, k message.Key, offer vam.MessageID) (activmail.Token, time.Time, error)
	// PutReceipt tells k's origin, in the name of the domain as. Errors: NotFound,
	// Gone, Denied, and temporary ones.
	PutReceipt(ctx context.Context, as vam.Domain, k message.Key, r activmail.Receipt) error
}

// Origin reads one message at its origin. Methods are safe for concurrent use; a
// failed transfer may be asked for again, and then goes another way if there is
// one. Gone says that the message was revoked or has expired.
type Origin interface {
	// Log returns the lines from from on with a checkpoint over all of them, after at
	// most wait when there are none yet (then no lines and no checkpoint).
	Log(ctx context.Context, from int64, wait time.Duration) (lines [][]byte, checkpoint []byte, err error)
	// Entry returns line n with a checkpoint and its blob; a nil line after wait says
	// that it is not there yet.
	Entry(ctx context.Context, n int64, wait time.Duration) (line, checkpoint, blob []byte, err error)
	// Media reads n octets from off on, or fewer at the present end of the media.
	Media(ctx context.Context, off, n int64) (io.ReadCloser, error)
	// Blob reads one blob and verifies it.
	Blob(ctx context.Context, sum activmail.Sum, length int64) ([]byte, error)
	Close() error
}

const (
	// entryWait is the longest wait of one request at the live edge (AM-7.5).
	entryWait = 25 * time.Second
	// entriesAhead is how many entries are asked for before they exist (AM-7.5: at
	// most four for one follower).
	entriesAhead = 3
	// flushBytes and flushEvery bound what a crash can cost to fetch again.
	flushBytes = 64 << 20
	flushEvery = 500 * time.Millisecond
	// maxStrikes is how often an origin may send wrong octets for one blob (AM-7.24).
	maxStrikes = 3
)

// Pull is the queue handler of queue.Pull: it fetches what is missing of a message
// until it is complete, ended, or the origin cannot be reached. Progress is kept
// across attempts: what is here and verified is never asked for again.
func (s *Service) Pull(ctx context.Context, j queue.Job) error {
	k, err := message.ParseKey(j.Key)
	if err != nil || s.o.Accounts.Hosts(k.Origin) {
		return err // what was made here is here
	}
	m, err := s.o.Messages.Get(ctx, k)
	if err != nil {
		if vam.KindOf(err) == vam.NotFound {
			return nil
		}
		return err
	}
	if ended(m) {
		return s.conclude(ctx, m)
	}
	before := s.have(ctx, k)
	err = s.pull(ctx, m)
	if err != nil && s.overdue(j, err) && s.have(ctx, k) == before {
		return s.giveUp(ctx, k, err)
	}
	return err
}

// have is how much of a message's media is here.
func (s *Service) have(ctx context.Context, k message.Key) int64 {
	media, err := s.o.Messages.OpenMedia(ctx, k)
	if err != nil {
		return 0
	}
	defer func() { _ = media.Close() }()
	return media.Total()
}

// pullHorizon is how long an origin may be away from what was accepted (AM-8.21).
const pullHorizon = 7 * 24 * time.Hour

// overdue reports whether the pull of what was accepted is to be given up: its origin
// could not be reached for a week.
func (s *Service) overdue(j queue.Job, err error) bool {
	return vam.KindOf(err).Temporary() && j.Attempts > 0 && s.o.Now().Sub(j.Created) > pullHorizon
}

// giveUp tells people and the origin that an accepted message cannot be had.
func (s *Service) giveUp(ctx context.Context, k message.Key, cause error) error {
	wanted, err := s.store.Wanted(ctx, k)
	if err != nil || !wanted {
		return errors.Join(err, cause)
	}
	defer s.o.Wake()
	s.o.Log.Warn("a message could not be pulled for a week; it is given up", "message", k, "err", cause)
	text := "the message could not be fetched from its origin for 7 days: " + vam.Public(cause)
	return s.store.Conclude(ctx, k, vam.Failed, activmail.EventFailed, "4.4.7", text, s.o.Now())
}

func (s *Service) pull(ctx context.Context, m message.Message) error {
	k := m.Key
	wanted, err := s.store.Wanted(ctx, k)
	if err != nil {
		return err
	}
	if m.Complete || !wanted {
		return s.refreshLog(ctx, m)
	}
	if !m.Head.SealedAt.IsZero() {
		if err := s.kept(ctx, m); err != nil {
			return s.outcome(ctx, k, err)
		}
	}
	if reused, err := s.o.Messages.Reuse(ctx, k, k.Origin); err != nil || reused {
		if err == nil {
			err = s.stored(ctx, k)
		}
		return err
	}
	err = s.transfer(ctx, m, false)
	if tokenInvalid(err) {
		err = s.transfer(ctx, m, true)
	}
	return s.outcome(ctx, k, err)
}

func ended(m message.Message) bool {
	return m.State == vam.Revoked || m.State == vam.Expired || m.State == vam.Purged
}

// outcome turns the end of a transfer into what people see.
func (s *Service) outcome(ctx context.Context, k message.Key, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if vam.KindOf(err) == vam.Gone {
		if over, lerr := s.lookForEnd(ctx, k); lerr == nil && over {
			return nil
		}
	}
	switch vam.KindOf(err) {
	case vam.Corrupt, vam.Invalid, vam.TooLarge:
		s.o.Log.Error("a message cannot be stored as its origin serves it", "message", k, "err", err)
		return errors.Join(s.store.Conclude(ctx, k, vam.Failed, activmail.EventFailed, activmail.ProblemFor(err).Code, vam.Public(err), s.o.Now()))
	case vam.Gone, vam.NotFound, vam.Unauthenticated, vam.Denied:
		// A bare 410 or a silent origin only stops the pull: only a revoke record under
		// the message key deletes (AM-8). Look again later.
		// Busy, not Unavailable: the domain answers, and its other messages need not wait.
		return vam.Wrap(vam.Busy, err, "the origin does not serve this message now").WithRetry(time.Hour)
	}
	return err
}

// conclude tells people and the origin that the message was taken back. Of one that has
// expired nobody is told but those who have it (AM-8.18).
func (s *Service) conclude(ctx context.Context, m message.Message) error {
	if m.State != vam.Revoked {
		return nil
	}
	defer s.o.Wake()
	state, event, text := vam.Withdrawn, activmail.EventWithdrawn, "the sender took this message back"
	return s.store.Conclude(ctx, m.Key, state, event, "", text, s.o.Now())
}

// refreshLog looks for records after what is known: a poke said that there are.
func (s *Service) refreshLog(ctx context.Context, m message.Message) error {
	_, err := s.lookForEnd(ctx, m.Key)
	return s.outcome(ctx, m.Key, err)
}

// lookForEnd brings the log up to date and, when it ends in a revoke or expiry,
// tells everybody and reports true.
func (s *Service) lookForEnd(ctx context.Context, k message.Key) (bool, error) {
	m, err := s.o.Messages.Get(ctx, k)
	if err != nil {
		return false, err
	}
	if !ended(m) {
		caughtUp, err := s.catchUp(ctx, m, false)
		if tokenInvalid(err) {
			caughtUp, err = s.catchUp(ctx, m, true)
		}
		if err != nil {
			return false, err
		}
		m = caughtUp
	}
	if !ended(m) {
		return false, nil
	}
	return true, s.conclude(ctx, m)
}

// catchUp brings the log of a message up to what its origin has.
func (s *Service) catchUp(ctx context.Context, m message.Message, renew bool) (message.Message, error) {
	origin, err := s.origin(ctx, m, renew)
	if err != nil {
		return m, err
	}
	defer func() { _ = origin.Close() }()
	lines, cp, err := origin.Log(ctx, m.Head.Lines, 0)
	if err != nil || len(lines) == 0 {
		return m, err
	}
	return s.o.Messages.Follow(ctx, m.Key, m.Head.Lines, lines, cp)
}

// tokenInvalid reports whether an origin wants another token: that is no failure of the
// message (AM-7.22).
func tokenInvalid(err error) bool {
	var e *vam.Error
	return errors.As(err, &e) && e.Problem == "token-invalid"
}

// origin opens the way to the message with a token that is valid for a while yet, or with
// a new one (AM-7.22).
func (s *Service) origin(ctx context.Context, m message.Message, renew bool) (Origin, error) {
	offers, err := s.store.Offers(ctx, m.Key)
	if err != nil {
		return nil, err
	}
	if len(offers) == 0 {
		return nil, vam.Errorf(vam.NotFound, "no offer of %s is here", m.Key)
	}
	o := offers[0]
	as := o.Rcpts[0].Address.Domain
	if renew || o.Expires.Before(s.o.Now().Add(time.Hour)) {
		if o.Token, o.Expires, err = s.o.Peers.RenewToken(ctx, as, m.Key, o.ID); err != nil {
			return nil, err
		}
		if err := s.store.RenewToken(ctx, m.Key, o.ID, o.Token, o.Expires); err != nil {
			return nil, err
		}
	}
	return s.o.Peers.Origin(ctx, as, m.Key, o.Token)
}

// stored records a complete message and tells everybody.
func (s *Service) stored(ctx context.Context, k message.Key) error {
	job, err := s.digestJob(ctx, k)
	if err != nil {
		return err
	}
	if err := s.store.Enqueue(ctx, job); err != nil { // before, so that a crash cannot leave it out
		return err
	}
	if err := s.o.Messages.Complete(ctx, k, k.Origin); err != nil {
		return err
	}
	s.o.Wake()
	s.o.Log.Info("message stored", "message", k)
	return nil
}

// transfer is one attempt to fetch everything that is missing.
func (s *Service) transfer(ctx context.Context, m message.Message, renew bool) error {
	origin, err := s.origin(ctx, m, renew)
	if err != nil {
		return err
	}
	defer func() { _ = origin.Close() }()
	w, err := s.o.Messages.Writer(ctx, m.Key)
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()
	t := &transfer{s: s, k: m.Key, origin: origin, w: w, strikes: map[activmail.Sum]int{}}
	t.plan = newPlan(int64(s.o.Chunk), s.o.Messages.Limits(), t.page, w)
	err = t.run(ctx)
	if ferr := w.Flush(context.WithoutCancel(ctx)); err == nil {
		err = ferr
	}
	if err != nil {
		return err
	}
	return s.stored(ctx, m.Key)
}

// transfer is the state of one attempt.
type transfer struct {
	s       *Service
	k       message.Key
	origin  Origin
	w       *message.Writer
	plan    *plan
	pending atomic.Int64 // octets written since the last flush
	mu      sync.Mutex
	strikes map[activmail.Sum]int // wrong octets in a row, by the blob that they should have been
	flush   chan struct{}
	buffers blob.Buffers
}

// run follows the log and fetches media side by side until the sealed log is
// complete.
func (t *transfer) run(ctx context.Context) error {
	t.flush = make(chan struct{}, 1)
	g, gctx := errgroup.WithContext(ctx)
	var lanes sync.WaitGroup
	g.Go(func() error { return t.follow(gctx) })
	g.Go(func() error { return t.plan.run(gctx) })
	for range t.s.o.Lanes {
		lanes.Add(1)
		g.Go(func() error {
			defer lanes.Done()
			return t.lane(gctx)
		})
	}
	done := make(chan struct{})
	go func() { lanes.Wait(); close(done) }()
	g.Go(func() error { return t.flusher(gctx, done) })
	return g.Wait()
}

// page feeds the plan with stored log lines.
func (t *transfer) page(ctx context.Context, from int64) ([]message.Line, error) {
	return t.s.o.Messages.Lines(ctx, t.k, from, 1000)
}

// follow keeps the log up with the origin's until it is sealed, and tells the plan.
func (t *transfer) follow(ctx context.Context) error {
	for {
		m, err := t.s.o.Messages.Get(ctx, t.k)
		if err != nil {
			return err
		}
		if ended(m) {
			return vam.Errorf(vam.Gone, "the sender took this message back").WithProblem("revoked")
		}
		t.plan.grow(m.Head.Lines, !m.Head.SealedAt.IsZero())
		if !m.Head.SealedAt.IsZero() {
			return t.s.kept(ctx, m)
		}
		lines, cp, err := t.origin.Log(ctx, m.Head.Lines, 0)
		if err != nil {
			return err
		}
		if len(lines) == 0 {
			if err := t.live(ctx, m.Head.Lines); err != nil {
				return err
			}
			continue
		}
		if _, err := t.s.o.Messages.Follow(ctx, t.k, m.Head.Lines, lines, cp); err != nil {
			return err
		}
	}
}

// live follows the edge of a message that is still being made: entries are asked
// for before they exist, so that none waits for a round trip. It returns when the
// log is sealed or the checkpoint in hand covers more than one new line.
func (t *transfer) live(ctx context.Context, next int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		line, cp, blob []byte
		err            error
	}
	posted := map[int64]chan answer{}
	post := func(n int64) {
		ch := make(chan answer, 1)
		posted[n] = ch
		go func() {
			var a answer
			a.line, a.cp, a.blob, a.err = t.origin.Entry(ctx, n, entryWait)
			ch <- a
		}()
	}
	for n := next; ; {
		for ahead := n; ahead < n+entriesAhead; ahead++ {
			if posted[ahead] == nil {
				post(ahead)
			}
		}
		var a answer
		select {
		case a = <-posted[n]:
		case <-ctx.Done():
			return ctx.Err()
		}
		delete(posted, n)
		if a.err != nil {
			return a.err
		}
		if a.line == nil {
			continue // nothing yet: ask again
		}
		cp, err := t.entry(ctx, n, a.line, a.cp, a.blob)
		if err != nil || cp {
			return err
		}
		n++
	}
}

// entry takes one line of the live edge in. It reports true when follow has to look
// at the log itself.
func (t *transfer) entry(ctx context.Context, n int64, line, cp, data []byte) (bool, error) {
	m, err := t.s.o.Messages.Get(ctx, t.k)
	if err != nil {
		return false, err
	}
	open, err := activmail.OpenCheckpoint(cp, t.k.Origin, t.k.ID, m.PublicKey)
	if err != nil {
		return false, err
	}
	if open.Size != n+1 || m.Head.Lines != n {
		return true, nil // it covers more: fetch what lies between
	}
	offset := m.Head.MediaBytes
	if m, err = t.s.o.Messages.Follow(ctx, t.k, n, [][]byte{line}, cp); err != nil {
		return false, err
	}
	r, err := activmail.ParseRecord(line, t.s.o.Messages.Limits())
	if err != nil {
		return false, err
	}
	if r.HasBlob() && r.IsMedia() && int64(len(data)) == int64(r.Length) && blob.Check(data, r.Blob) == nil {
		if err := t.w.WritePart(offset, data); err != nil {
			return false, err
		}
		t.wrote(int64(len(data)))
	}
	t.plan.grow(m.Head.Lines, !m.Head.SealedAt.IsZero())
	return !m.Head.SealedAt.IsZero() || ended(m), nil
}

// lane fetches one piece of the plan after the other.
func (t *transfer) lane(ctx context.Context) error {
	failures := 0
	for {
		var piece []part
		var more bool
		select {
		case piece, more = <-t.plan.pieces:
			if !more {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
		rest, err := t.fetch(ctx, piece)
		if len(rest) < len(piece) {
			failures = 0
		}
		select {
		case t.plan.results <- rest:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err == nil {
			continue
		}
		failures++
		switch {
		case vam.KindOf(err) == vam.Corrupt:
			if t.strike(rest[0].sum) {
				return err
			}
		case failures > 3 || !retryHere(err):
			return err
		}
	}
}

// strike counts wrong octets that came in the place of a blob, and reports whether its
// origin may send no more of them (AM-7.24).
func (t *transfer) strike(sum activmail.Sum) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.strikes[sum]++
	return t.strikes[sum] >= maxStrikes
}

// retryHere reports whether the same piece is worth asking for again at once.
func retryHere(err error) bool {
	k := vam.KindOf(err)
	return k == vam.Unavailable || k == vam.Internal
}

// fetch reads the parts of a piece and writes each one that verifies. It returns
// those that it did not get to.
func (t *transfer) fetch(ctx context.Context, p []part) ([]part, error) {
	if !p[0].media {
		return p, t.fetchSide(ctx, p[0])
	}
	first, last := p[0], p[len(p)-1]
	body, err := t.origin.Media(ctx, first.off, last.off+last.length-first.off)
	if err != nil {
		return p, err
	}
	defer func() { _ = body.Close() }()
	for i, x := range p {
		buf, err := blob.ReceivePart(body, x.sum, x.length, &t.buffers)
		if err != nil {
			return p[i:], err
		}
		err = t.w.WritePart(x.off, buf)
		t.buffers.Put(buf)
		if err != nil {
			return p[i:], err
		}
		t.wrote(x.length)
	}
	return nil, nil
}

func (t *transfer) fetchSide(ctx context.Context, x part) error {
	data, err := t.origin.Blob(ctx, x.sum, x.length)
	if err != nil {
		return err
	}
	return t.w.WriteSide(ctx, x.sum, data)
}

// wrote counts octets towards the next flush.
func (t *transfer) wrote(n int64) {
	if t.pending.Add(n) >= flushBytes {
		select {
		case t.flush <- struct{}{}:
		default:
		}
	}
}

// flusher makes progress durable while the lanes go on. It ends with them.
func (t *transfer) flusher(ctx context.Context, done <-chan struct{}) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return nil
		case <-t.flush:
		case <-tick.C:
		}
		if t.pending.Swap(0) == 0 {
			continue
		}
		if err := t.w.Flush(ctx); err != nil {
			return err
		}
	}
}
