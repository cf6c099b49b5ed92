package playback

import (
	"bytes"
	"context"
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
// means that this is not known in this way, or not yet. whole says that a recording
// which still arrives was looked at to its end.
func readHead(r io.ReaderAt, size int64) (info media.Info, whole bool, err error) {
	defer func() {
		if p := recover(); p != nil { // a stranger's file must not end the server, again at each start
			err = fmt.Errorf("reading the head of a recording panicked: %v", p)
		}
	}()
	m, err := isobmff.Read(r, size, isobmff.Limits{})
	if err != nil {
		return media.Info{}, false, err
	}
	info = m.Info()
	if v := media.Judge(info); v.Reason == media.Unsupported {
		// ffprobe knows more formats than browsers play.
		return media.Info{}, false, media.Refuse(v.Reason, nil)
	}
	return info, m.Missing == nil, nil
}

// heads remembers the last recordings that were looked at and are not stored yet: many
// may watch one of them. It is safe for concurrent use.
type heads struct {
	mu   sync.Mutex
	seen map[headKey]media.Info
}

// headKey names a recording of a length; one that still grows becomes another.
type headKey struct {
	media blob.ID
	size  int64
}

// maxHeads is how many are remembered.
const maxHeads = 64

func (h *heads) get(k headKey) (media.Info, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	info, ok := h.seen[k]
	return info, ok
}

func (h *heads) put(k headKey, info media.Info) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen == nil || len(h.seen) >= maxHeads {
		h.seen = map[headKey]media.Info{}
	}
	h.seen[k] = info
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
