package playback

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
)

// Options of New; fields without a default are required.
type Options struct {
	Messages *message.Service
	Blobs    blob.Store
	Owner    string           // names this process in leases, another one after a restart
	Maker    Maker            // nil: there is none (Missing says why); originals play, nothing is made
	Missing  media.Reason     // why there is no Maker; media.NoFFmpeg
	Scratch  Scratch          // not needed without a Maker
	Quick    int              // quick jobs at once; twice the processors
	Long     int              // long jobs at once; half the processors, at least 1
	Attempts int              // of a job that fails temporarily; 3
	Lease    time.Duration    // 60 s, renewed at a third
	Poll     time.Duration    // between looks for new media without a Wake; 2 s
	Now      func() time.Time // time.Now
	Log      *slog.Logger     // discards
}

// Service is safe for concurrent use. Run owns all of its goroutines.
type Service struct {
	store Store
	o     Options
	adopt chan struct{}
	work  map[media.Class]chan struct{}
	heads *heads

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when anything of any job has changed
}

// New returns a Service over a metadata store.
func New(store Store, o Options) *Service {
	cpus := runtime.GOMAXPROCS(0)
	for _, d := range []struct {
		field *int
		value int
	}{{&o.Quick, 2 * cpus}, {&o.Long, max(1, cpus/2)}, {&o.Attempts, 3}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if o.Missing == "" {
		o.Missing = media.NoFFmpeg
	}
	if o.Lease == 0 {
		o.Lease = time.Minute
	}
	if o.Poll == 0 {
		o.Poll = 2 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		store: store, o: o, heads: newHeads(), adopt: make(chan struct{}, 1), changed: make(chan struct{}),
		work: map[media.Class]chan struct{}{media.Quick: make(chan struct{}, 1), media.Long: make(chan struct{}, 1)},
	}
}

// Wake makes the service look for new media and for jobs that are due now, such as after
// a message was completed. It never blocks.
func (s *Service) Wake() {
	poke(s.adopt)
	s.wakeWorkers()
}

func (s *Service) wakeWorkers() {
	for _, c := range s.work {
		poke(c)
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Jobs lists jobs, the oldest first.
func (s *Service) Jobs(ctx context.Context, f Filter) ([]Job, error) { return s.store.Jobs(ctx, f) }

// Again runs a failed job once more. NotFound; Conflict when it runs or is done.
func (s *Service) Again(ctx context.Context, id int64) (Job, error) {
	j, err := s.store.Again(ctx, id, s.o.Now())
	if err == nil {
		s.tell()
	}
	return j, err
}

// Depth counts the jobs of a class that wait or run, for metrics.
func (s *Service) Depth(ctx context.Context, class media.Class) (jobs int64, oldest time.Time, err error) {
	return s.store.Depth(ctx, class)
}

// tell wakes those who work and those who wait for news.
func (s *Service) tell() {
	s.wakeWorkers()
	s.announce()
}

// announce wakes those who wait for news.
func (s *Service) announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Service) news() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// get returns a message whose media may be shown. NotFound; Gone.
func (s *Service) get(ctx context.Context, k message.Key) (message.Message, error) {
	m, err := s.o.Messages.Get(ctx, k)
	if err != nil {
		return m, err
	}
	return m, s.o.Messages.Gone(m)
}
