package playback

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/isobmff"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
)

// readHead says what a recording is from its own head, without a process. Any error
// means that this is not known in this way, or not yet. What is missing of a recording
// that still arrives, with an error or without one, is nil when it was looked at to its end.
func readHead(r io.ReaderAt, size int64) (info media.Info, missing *isobmff.Missing, err error) {
	defer func() {
		if p := recover(); p != nil { // a stranger's file must not end the server, again at each start
			err = fmt.Errorf("reading the head of a recording panicked: %v", p)
		}
	}()
	m, err := isobmff.Read(r, size, isobmff.Limits{})
	if err != nil {
		errors.As(err, &missing)
		return media.Info{}, missing, err
	}
	info = m.Info()
	if v := media.Judge(info); v.Reason == media.Unsupported {
		// ffprobe knows more formats than browsers play.
		return media.Info{}, m.Missing, media.Refuse(v.Reason, nil)
	}
	return info, m.Missing, nil
}

// heads remembers the last recordings that were looked at and are not stored yet: many
// may watch one of them. It is safe for concurrent use.
type heads struct {
	turn chan struct{} // has a place for each head that is read at the same time

	mu   sync.Mutex
	seen map[headKey]head
}

// headKey names a recording of a length; one that still grows becomes another.
type headKey struct {
	media blob.ID
	size  int64
}

// head is what a look at a recording gave: what it is, when that is known, and which octets
// another look needs to see more; size 0: it has seen all.
type head struct {
	info         media.Info
	known        bool
	offset, size int64
}

const (
	// maxHeads is how many are remembered.
	maxHeads = 64
	// headReaders is how many heads are read at the same time: an index of the largest size
	// that is read takes hundreds of MiB on the way.
	headReaders = 2
)

func newHeads() *heads { return &heads{turn: make(chan struct{}, headReaders)} }

func (h *heads) get(k headKey) (head, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was, ok := h.seen[k]
	return was, ok
}

func (h *heads) put(k headKey, is head) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen == nil || len(h.seen) >= maxHeads {
		h.seen = map[headKey]head{}
	}
	h.seen[k] = is
}

// enter waits for a turn to read a head; call leave after it.
func (h *heads) enter(ctx context.Context) error {
	select {
	case h.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *heads) leave() { <-h.turn }

// look reads the head of a recording that still arrives, unless it was read before and
// another look would see nothing new. Any error is that of ctx.
func (h *heads) look(ctx context.Context, k headKey, r arriving) (media.Info, bool, error) {
	if was, ok := h.get(k); ok && !was.more(r) {
		return was.info, was.known, nil
	}
	if err := h.enter(ctx); err != nil {
		return media.Info{}, false, err
	}
	defer h.leave()
	if was, ok := h.get(k); ok && !was.more(r) { // somebody else has looked meanwhile
		return was.info, was.known, nil
	}
	info, missing, err := readHead(r, k.size)
	is := head{info: info, known: err == nil}
	if missing != nil {
		is.offset, is.size = missing.Offset, missing.Least
	}
	if err == nil || missing != nil || vam.KindOf(err) != vam.Internal {
		h.put(k, is)
	}
	return info, err == nil, nil
}

// more reports whether another look can see more.
func (h head) more(r arriving) bool {
	return h.size > 0 && r.m.Available(h.offset) >= h.offset+h.size
}

// arriving reads media that may still be on its way. What is not here yet is
// Unavailable, never waited for.
type arriving struct {
	ctx context.Context
	m   *message.Media
}

// ReadAt implements io.ReaderAt.
func (a arriving) ReadAt(p []byte, off int64) (int, error) {
	size, final := a.m.Size()
	want := int64(len(p))
	if final {
		want = max(0, min(want, size-off))
	}
	if want == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	if a.m.Available(off) < off+want {
		return 0, vam.Errorf(vam.Unavailable, "the octets from %d on are not here yet", off)
	}
	src := a.m.Reader(a.ctx, off, want)
	defer func() { _ = src.Close() }()
	n, err := io.ReadFull(src, p[:want])
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// sniff names the container of a recording that browsers play as it is from its first
// octets; "" for everything else.
func sniff(r io.ReaderAt) string {
	head := make([]byte, 64)
	n, err := r.ReadAt(head, 0)
	if n < 16 && err != nil {
		return ""
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte("\x1aE\xdf\xa3")) && bytes.Contains(head, []byte("webm")):
		return "webm"
	case bytes.HasPrefix(head, []byte("OggS")):
		return "ogg"
	case bytes.HasPrefix(head, []byte("fLaC")):
		return "flac"
	case bytes.HasPrefix(head, []byte("RIFF")) && bytes.Equal(head[8:12], []byte("WAVE")):
		return "wav"
	case bytes.HasPrefix(head, []byte("ID3")), head[0] == 0xff && head[1]&0xfe == 0xfa:
		return "mp3"
	}
	return ""
}
