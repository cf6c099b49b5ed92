package web

import (
	"container/list"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
)

// arrival is how much of a message is here.
type arrival struct {
	complete bool
	live     bool  // still being recorded: its length is not known
	here     int64 // octets
	size     int64 // octets; 0 is not known
	since    time.Time
	failed   bool // the rest will not come
}

// percent is how much is here, -1 for not known.
func (a arrival) percent() int {
	if a.size <= 0 {
		return -1
	}
	return int(min(99, 100*a.here/a.size))
}

// arrival looks at what of the message is here.
func (v *visit) arrival(m message.Message) (arrival, error) {
	if m.Complete {
		return arrival{complete: true, here: m.Head.MediaBytes, size: m.Head.MediaBytes}, nil
	}
	a := arrival{size: int64(m.Announced)}
	if !m.Head.SealedAt.IsZero() {
		a.size = m.Head.MediaBytes
	}
	switch media, err := v.h.o.Messages.OpenMedia(v.Context(), m.Key); {
	case err == nil:
		a.here = media.Total()
		if err := media.Close(); err != nil {
			return a, err
		}
	case vam.KindOf(err) != vam.NotFound: // nothing has come yet
		return a, err
	}
	a.live = m.Head.SealedAt.IsZero() && a.size == 0
	if a.size > 0 {
		a.here = min(a.here, a.size)
	}
	e, err := v.h.o.Entries.Entry(v.Context(), v.grant.Account, m.Origin, m.ID)
	if err != nil && vam.KindOf(err) != vam.NotFound {
		return a, err
	}
	a.failed = err == nil && e.State == mailbox.Failed
	a.since = v.h.stalls.observe(m.Key, a.here, v.h.o.Now())
	return a, nil
}

const (
	// stallAfter is how long nothing may arrive before the page says so.
	stallAfter = 30 * time.Second
	// maxStalls is of how many messages that arrive the pages remember the pace.
	maxStalls = 1024
)

// stalls remembers when the pages last saw more of a message. What nobody watches is not
// remembered, so a stall is told from the first look at it on.
type stalls struct {
	mu    sync.Mutex
	byKey map[message.Key]*list.Element
	order list.List // of *pace, the oldest look first
}

type pace struct {
	key  message.Key
	here int64
	at   time.Time // when this much was seen first
}

func newStalls() *stalls { return &stalls{byKey: map[message.Key]*list.Element{}} }

// observe notes how much is here and says since when it is no more; zero unless that is
// for longer than stallAfter.
func (s *stalls) observe(k message.Key, here int64, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byKey[k]
	if e == nil {
		if len(s.byKey) >= maxStalls {
			old := s.order.Remove(s.order.Front()).(*pace)
			delete(s.byKey, old.key)
		}
		s.byKey[k] = s.order.PushBack(&pace{k, here, now})
		return time.Time{}
	}
	s.order.MoveToBack(e)
	p := e.Value.(*pace)
	if here != p.here {
		p.here, p.at = here, now
	}
	if now.Sub(p.at) < stallAfter {
		return time.Time{}
	}
	return p.at
}
