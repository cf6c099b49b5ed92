package web

import (
	"container/list"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/cmaf"
	"github.com/videoactivmail/vam/internal/isobmff"
	"github.com/videoactivmail/vam/internal/message"
)

const (
	// maxViews and maxViewOctets bound the views that are kept: together they hold about
	// what the indexes that they were read from have. One that is in use is not counted.
	maxViews      = 64
	maxViewOctets = 64 << 20
	// viewReaders is how many indexes are read at the same time: one of the largest size
	// that is read takes hundreds of MiB on the way.
	viewReaders = 2
)

// views keeps the views of the recordings that were watched last, so that an index is
// read once and not for each range. It is safe for concurrent use.
type views struct {
	turn chan struct{} // has a place for each index that is being read

	mu     sync.Mutex
	byKey  map[viewKey]*list.Element
	order  list.List // of *viewEntry, least recently used first
	octets int64
}

// viewKey names a recording of a length; one that grows becomes another.
type viewKey struct {
	object blob.ID
	size   int64
}

type viewEntry struct {
	key    viewKey
	ready  chan struct{} // closed when the rest is set
	view   *cmaf.View
	err    error
	octets int64
}

func newViews() *views {
	return &views{turn: make(chan struct{}, viewReaders), byKey: map[viewKey]*list.Element{}}
}

// get returns the view of a recording, which is read from r at most once at a time. What
// could not be read yet is forgotten. Errors as cmaf.New, isobmff.Read and r have them.
func (s *views) get(ctx context.Context, k viewKey, r io.ReaderAt) (*cmaf.View, error) {
	s.mu.Lock()
	e := s.byKey[k]
	if e == nil {
		entry := &viewEntry{key: k, ready: make(chan struct{})}
		e = s.order.PushBack(entry)
		s.byKey[k] = e
		s.mu.Unlock()
		s.turn <- struct{}{} // whoever has it waits for the disk alone
		view, octets, err := readView(r, k.size)
		<-s.turn
		s.keep(e, view, octets, err)
		return view, err
	}
	s.order.MoveToBack(e)
	s.mu.Unlock()
	entry := e.Value.(*viewEntry)
	select {
	case <-entry.ready:
		return entry.view, entry.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// keep makes an entry ready, and lets the oldest ones go.
func (s *views) keep(e *list.Element, view *cmaf.View, octets int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry := e.Value.(*viewEntry)
	entry.view, entry.octets, entry.err = view, octets, err
	s.octets += octets
	close(entry.ready)
	if entry.err != nil && vam.KindOf(entry.err).Temporary() {
		s.drop(e)
	}
	for s.order.Len() > maxViews || s.octets > maxViewOctets && s.order.Len() > 1 {
		oldest := s.order.Front()
		select {
		case <-oldest.Value.(*viewEntry).ready:
			s.drop(oldest)
		default:
			return // it is being read
		}
	}
}

func (s *views) drop(e *list.Element) {
	entry := s.order.Remove(e).(*viewEntry)
	delete(s.byKey, entry.key)
	s.octets -= entry.octets
}

// countingReader counts what is read of an index.
type countingReader struct {
	r io.ReaderAt
	n int64
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(p, off)
	c.n += int64(n)
	return n, err
}

// readView reads an index and makes the view. Unavailable while the index has not arrived.
func readView(r io.ReaderAt, size int64) (view *cmaf.View, octets int64, err error) {
	counted := &countingReader{r: r}
	defer func() {
		octets = counted.n
		if p := recover(); p != nil { // a stranger's file must not end the server
			view, err = nil, vam.Wrap(vam.Invalid, fmt.Errorf("reading the index of a recording panicked: %v", p), "the index of this recording cannot be read")
		}
	}()
	m, err := isobmff.Read(counted, size, isobmff.Limits{})
	if err != nil {
		return nil, 0, err
	}
	if m.Missing != nil {
		return nil, 0, errIndexMissing()
	}
	view, err = cmaf.New(m, cmaf.Options{})
	return view, 0, err
}

func errIndexMissing() error {
	return vam.Errorf(vam.Unavailable, "the index of this recording has not arrived yet")
}

// hereReader reads what is here of media and waits for nothing: the rest is Unavailable.
type hereReader struct{ src *message.Media }

func (h hereReader) ReadAt(p []byte, off int64) (int, error) {
	size, final := h.src.Size()
	want := int64(len(p))
	if final {
		if want = max(0, min(want, size-off)); want == 0 && len(p) > 0 {
			return 0, io.EOF
		}
	}
	if h.src.Available(off) < off+want {
		return 0, errIndexMissing()
	}
	n, err := h.src.ReadAt(p[:want], off)
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// waitingReaderAt reads media, waiting for what is not here yet until ctx ends.
type waitingReaderAt struct {
	ctx context.Context
	src *message.Media
}

func (w waitingReaderAt) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		r := waitingReader{ctx: w.ctx, src: w.src, at: off + int64(n), size: -1}
		got, err := r.Read(p[n:])
		n += got
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
