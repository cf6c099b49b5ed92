package reception_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/mailauth"
	"github.com/videoactivmail/vam/internal/mailauth/mailauthtest"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/reception"
)

// origin is a.example as b.example sees it: it serves one recording, and misbehaves as it
// is told to.
type origin struct {
	rec *hosttest.Recording

	mu       sync.Mutex
	down     error                          // of every request
	valid    activmail.Token                // opens the message; "" is any token
	spoil    func(off int64, data []byte)   // changes what is sent
	cutAfter int                            // octets of an answer, then it breaks; 0 is never
	poster   func(activmail.Sum) error      // of blobs beside the media
	renewed  int                            // tokens
	asked    []message.Range                // of the media, as it was asked for
	entries  int                            // asked for
	busy     int                            // requests for media and blobs under way
	most     int                            // of them at a time
	opened   []string                       // which origin was asked, and in whose name
	receipts []activmail.Receipt            // that it was told
	during   func(context.Context, *origin) // called in each request for media
}

func (o *origin) Origin(_ context.Context, as vam.Domain, k message.Key, token activmail.Token) (reception.Origin, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.opened = append(o.opened, string(as)+" asks "+string(k.Origin))
	return source{o, token}, nil
}

func (o *origin) RenewToken(context.Context, vam.Domain, message.Key, vam.MessageID) (activmail.Token, time.Time, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down != nil {
		return "", time.Time{}, o.down
	}
	o.renewed++
	o.valid = activmail.NewPullToken()
	return o.valid, time.Now().Add(activmail.MaxTokenLife), nil
}

func (o *origin) PutReceipt(_ context.Context, _ vam.Domain, _ message.Key, r activmail.Receipt) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down != nil {
		return o.down
	}
	o.receipts = append(o.receipts, r)
	return nil
}

func (o *origin) told() (events []activmail.ReceiptEvent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.receipts {
		events = append(events, r.Event)
	}
	return events
}

type source struct {
	o     *origin
	token activmail.Token
}

func (s source) open() error {
	s.o.mu.Lock()
	defer s.o.mu.Unlock()
	if s.o.valid != "" && s.token != s.o.valid {
		return vam.Errorf(vam.Unauthenticated, "the token is over").WithProblem("token-invalid")
	}
	return s.o.down
}

func (s source) Log(_ context.Context, from int64, _ time.Duration, take func([]byte) error) ([]byte, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	lines := s.o.rec.Lines(from, 1<<30)
	if len(lines) == 0 {
		return nil, nil
	}
	for _, line := range lines {
		if err := take(line); err != nil {
			return nil, err
		}
	}
	return s.o.rec.Checkpoint(from + int64(len(lines))), nil
}

func (s source) Entry(ctx context.Context, n int64, _ time.Duration) (line, checkpoint, blob []byte, err error) {
	s.o.mu.Lock()
	s.o.entries++
	s.o.mu.Unlock()
	if err := s.open(); err != nil {
		return nil, nil, nil, err
	}
	if !s.o.rec.WaitFor(ctx, n) {
		return nil, nil, nil, ctx.Err()
	}
	line = s.o.rec.Lines(n, 1)[0]
	r, err := activmail.ParseRecord(line, activmail.DefaultLimits())
	if err == nil && r.HasBlob() {
		blob = s.o.rec.Blob(r.Blob)
	}
	return line, s.o.rec.Checkpoint(n + 1), blob, err
}

func (s source) Media(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	media := s.o.rec.Media()
	data := slices.Clone(media[off:min(off+n, int64(len(media)))])
	s.enter()
	s.o.mu.Lock()
	s.o.asked = append(s.o.asked, message.Range{Start: off, End: off + n})
	spoil, during, cut := s.o.spoil, s.o.during, s.o.cutAfter
	s.o.mu.Unlock()
	if spoil != nil {
		spoil(off, data)
	}
	if during != nil {
		during(ctx, s.o)
	}
	if cut > 0 && cut < len(data) {
		broken := vam.Errorf(vam.Unavailable, "the answer broke off")
		return &body{io.MultiReader(bytes.NewReader(data[:cut]), failing{broken}), s}, nil
	}
	return &body{bytes.NewReader(data), s}, nil
}

func (s source) enter() {
	s.o.mu.Lock()
	defer s.o.mu.Unlock()
	s.o.busy++
	s.o.most = max(s.o.most, s.o.busy)
}

func (s source) leave() {
	s.o.mu.Lock()
	defer s.o.mu.Unlock()
	s.o.busy--
}

type body struct {
	io.Reader
	s source
}

func (b *body) Close() error { b.s.leave(); return nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func (s source) Blob(_ context.Context, sum activmail.Sum, _ int64) ([]byte, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	s.enter()
	defer s.leave()
	s.o.mu.Lock()
	poster := s.o.poster
	s.o.mu.Unlock()
	if poster != nil {
		if err := poster(sum); err != nil {
			return nil, err
		}
	}
	return s.o.rec.Blob(sum), nil
}

func (source) Close() error { return nil }

// world is b.example with an account bob, and a message of a.example to him.
type world struct {
	*hosttest.Host
	t      *testing.T
	origin *origin
	rec    *hosttest.Recording
	signer *mailauth.Signer
	zone   *mailauthtest.Zone
	bob    account.Account
	errs   []error // of the last work
}

func newWorld(t *testing.T, o hosttest.Options) *world {
	t.Helper()
	w := &world{t: t, origin: &origin{}}
	o.Zone, o.Peers = new(mailauthtest.Zone), w.origin
	w.zone = o.Zone
	w.signer = mailauthtest.Signer(t, o.Zone, "a.example")
	w.Host = hosttest.New(t, o)
	w.bob = w.Account("bob@b.example", 0)
	w.begin()
	return w
}

// begin makes another message of a.example.
func (w *world) begin() {
	w.rec = hosttest.NewRecording(w.t, "a.example", w.Clock.Now())
	w.origin.mu.Lock()
	defer w.origin.mu.Unlock()
	w.origin.rec, w.origin.asked, w.origin.receipts = w.rec, nil, nil
}

// file makes the message a finished file.
func (w *world) file(n int) []byte {
	content := hosttest.Pattern(n, 7)
	w.rec.AddFile(content, 64<<10)
	w.rec.Seal()
	return content
}

func (w *world) offer(to ...vam.Address) *activmail.Offer {
	w.t.Helper()
	if len(to) == 0 {
		to = []vam.Address{w.bob.Address}
	}
	o := w.rec.Offer(w.signer, w.Clock.Now(), w.rec.Size(), to...)
	w.Clock.Advance(time.Millisecond) // the next offer has an id of its own
	return o
}

// put offers, as the door for other domains does.
func (w *world) put(o *activmail.Offer) (map[vam.Address]activmail.RecipientAnswer, error) {
	w.t.Helper()
	limits := activmail.DefaultLimits()
	limits.Forwards = 100 // an origin that keeps to nothing
	body, err := o.Marshal(limits)
	if err != nil {
		w.t.Fatal(err)
	}
	parsed, err := activmail.ParseOffer(body, activmail.DefaultLimits())
	if err != nil {
		return nil, err
	}
	answer, _, err := w.Reception.Offer(w.t.Context(), parsed, body)
	if _, merr := answer.Marshal(); err == nil && merr != nil {
		w.t.Errorf("the answer cannot be written: %v", merr)
	}
	return answer.Recipients, err
}

// wantAnswer offers and compares the state of the first recipient.
func (w *world) wantAnswer(o *activmail.Offer, state activmail.AnswerState, code string) {
	w.t.Helper()
	got, err := w.put(o)
	if err != nil {
		w.t.Fatal(err)
	}
	if r := got[o.Envelope.To[0]]; r.State != state || r.Code != code {
		w.t.Errorf("the answer is %+v, %s %s is right", r, state, code)
	}
}

// work runs every job of the kinds that is due, once.
func (w *world) work(kinds ...queue.Kind) int {
	w.t.Helper()
	handlers := map[queue.Kind]queue.Handler{
		queue.Pull: w.Reception.Pull, queue.Receipt: w.Reception.Receipt, queue.Digest: w.Reception.Digest,
	}
	if len(kinds) == 0 {
		kinds = []queue.Kind{queue.Pull, queue.Receipt, queue.Digest}
	}
	ctx, q, done := w.t.Context(), w.DB.Queue(), 0
	w.errs = nil
	for {
		now := w.Clock.Now()
		jobs, err := q.Lease(ctx, queue.Want{Owner: "test", Kinds: kinds, Now: now, Until: now.Add(time.Hour), Limit: 100})
		if err != nil {
			w.t.Fatal(err)
		}
		if len(jobs) == 0 {
			return done
		}
		for _, j := range jobs {
			done++
			err := handlers[j.Kind](ctx, j)
			if err != nil {
				w.errs = append(w.errs, err)
			}
			if err != nil && vam.KindOf(err).Temporary() {
				err = q.Retry(ctx, "test", j.ID, now.Add(time.Hour), err.Error())
			} else {
				err = q.Finish(ctx, "test", j.ID)
			}
			if err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// state is that of bob's entry, "" for none.
func (w *world) state() mailbox.State {
	w.t.Helper()
	e, err := w.DB.Mailboxes().Entry(w.t.Context(), w.bob.ID, w.rec.Key.Origin, w.rec.Key.ID)
	if err != nil && vam.KindOf(err) != vam.NotFound {
		w.t.Fatal(err)
	}
	return e.State
}

func (w *world) wantState(want mailbox.State) {
	w.t.Helper()
	if got := w.state(); got != want {
		w.t.Errorf("the entry is %q, %q is right (%v)", got, want, w.errs)
	}
}

func (w *world) wantTold(want ...activmail.ReceiptEvent) {
	w.t.Helper()
	w.work(queue.Receipt)
	if got := w.origin.told(); !slices.Equal(got, want) {
		w.t.Errorf("the origin was told %q, %q is right", got, want)
	}
}

func (w *world) wantKind(what string, err error, kind vam.ErrorKind) {
	w.t.Helper()
	if err == nil || vam.KindOf(err) != kind {
		w.t.Errorf("%s: %v, an error of kind %v is right", what, err, kind)
	}
}

// media is what can be read of the message.
func (w *world) media() ([]byte, error) {
	w.t.Helper()
	m, err := w.Messages.OpenMedia(w.t.Context(), w.rec.Key)
	if err != nil {
		return nil, err
	}
	defer func() { _ = m.Close() }()
	out := make([]byte, m.Available(0))
	_, err = m.ReadAt(out, 0)
	return out, err
}
