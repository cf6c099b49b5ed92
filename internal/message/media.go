package message

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
)

// Media reads the media of one message, also while it grows. Close it. A Media is
// safe for concurrent use; its readers are not.
type Media struct {
	t      *tracker
	closed atomic.Bool

	mu   sync.Mutex
	objs []blob.Object // the last one is in use
}

// OpenMedia opens the media of a message. Gone after a revoke or an expiry, NotFound when nothing of it
// is here.
func (s *Service) OpenMedia(ctx context.Context, k Key) (*Media, error) {
	t, err := s.acquire(ctx, k)
	if err != nil {
		return nil, err
	}
	m, _ := t.snapshot()
	if err := s.Gone(m); err != nil {
		s.release(t)
		return nil, err
	}
	obj, err := t.open(ctx, false)
	if err != nil {
		s.release(t)
		return nil, err
	}
	return &Media{t: t, objs: []blob.Object{obj}}, nil
}

// Gone is the error of kind Gone for the media of a message that was taken back or has
// expired, which it has at the very moment and not when a sweep notices (AM-8.18); nil
// for every other.
func (s *Service) Gone(m Message) error {
	over := !m.Expires.IsZero() && !m.SentAt.IsZero() && !s.now().Before(m.Expires)
	switch {
	case m.State == vam.Revoked:
		return vam.Errorf(vam.Gone, "the sender took this message back").WithProblem("revoked")
	case m.State == vam.Expired, m.State == vam.Purged, over:
		return vam.Errorf(vam.Gone, "this message has expired").WithProblem("expired")
	}
	return nil
}

// Close releases the message.
func (m *Media) Close() error {
	if m.closed.Swap(true) {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, obj := range m.objs {
		errs = append(errs, obj.Close())
	}
	m.t.s.release(m.t)
	return errors.Join(errs...)
}

// object is the media that the message has.
func (m *Media) object() blob.Object {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.objs[len(m.objs)-1]
}

// follow opens the media that has come into the place of another one (see Reuse).
func (m *Media) follow(ctx context.Context, id blob.ID) error {
	if m.object().ID() == id {
		return nil
	}
	obj, err := m.t.s.blobs.Open(ctx, id)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objs = append(m.objs, obj)
	return nil
}

// Message returns the message as it stands.
func (m *Media) Message() Message {
	msg, _ := m.t.snapshot()
	return msg
}

// Size is the length that the log names so far, and whether it is final.
func (m *Media) Size() (size int64, final bool) {
	msg := m.Message()
	return msg.Head.MediaBytes, !msg.Head.SealedAt.IsZero()
}

// Total is how many octets can be read, wherever they stand.
func (m *Media) Total() int64 {
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	return m.t.have.Total()
}

// Available is the end of what can be read from off on without waiting.
func (m *Media) Available(off int64) int64 {
	id := m.object().ID()
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	if m.t.m.Media != id {
		return off // WaitFor looks
	}
	return min(m.t.have.Until(off), max(off, m.t.m.Head.MediaBytes))
}

// WaitFor returns as soon as the octet at off can be read. io.EOF: off is the end
// of a sealed message. Gone when the message ends meanwhile, and what GiveUp said when
// it will not arrive.
func (m *Media) WaitFor(ctx context.Context, off int64) error {
	for {
		msg, changed, err := m.t.watch(ctx)
		if err != nil {
			return err
		}
		if err := m.t.s.Gone(msg); err != nil {
			return err
		}
		if err := m.follow(ctx, msg.Media); err != nil {
			return err
		}
		if m.Available(off) > off {
			return nil
		}
		if !msg.Head.SealedAt.IsZero() && off >= msg.Head.MediaBytes {
			return io.EOF
		}
		if err := m.t.failure(); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *tracker) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

// Gone reports true as soon as the message is revoked or has expired, false when ctx
// ends first.
func (m *Media) Gone(ctx context.Context) bool {
	for {
		msg, changed, err := m.t.watch(ctx)
		if err != nil {
			return false
		}
		if m.t.s.Gone(msg) != nil {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// Reader reads [off, off+n), waiting for octets that are not here yet until ctx
// ends. Close it.
func (m *Media) Reader(ctx context.Context, off, n int64) io.ReadCloser {
	return &mediaReader{ctx: ctx, m: m, at: off, end: off + n}
}

type mediaReader struct {
	ctx     context.Context
	m       *Media
	at, end int64
	cur     io.ReadCloser
	curEnd  int64
}

func (r *mediaReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.at >= r.end {
		return 0, io.EOF
	}
	for r.cur == nil {
		if err := r.m.WaitFor(r.ctx, r.at); err != nil {
			return 0, err
		}
		if r.curEnd = min(r.m.Available(r.at), r.end); r.curEnd > r.at {
			r.cur = r.m.object().Reader(r.at, r.curEnd-r.at)
		}
	}
	n, err := r.cur.Read(p)
	r.at += int64(n)
	switch {
	case r.at >= r.curEnd:
		_ = r.cur.Close()
		r.cur, err = nil, nil
	case err == io.EOF || n == 0 && err == nil:
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (r *mediaReader) Close() error {
	if r.cur != nil {
		err := r.cur.Close()
		r.cur = nil
		return err
	}
	return nil
}

// Side opens a blob that stands beside the media: a poster, a text, a blob of an
// extra track. NotFound.
func (m *Media) Side(ctx context.Context, sum activmail.Sum) (io.ReadSeekCloser, int64, error) {
	return m.object().Side(ctx, sum)
}
