package playback

import (
	"bytes"
	"context"
	"io"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
)

// readHead says what a recording is from its own head, without a process. Any error
// means that this is not known in this way.
func readHead(r io.ReaderAt, size int64) (media.Info, error) {
	return media.Info{}, vam.Errorf(vam.NotFound, "this recording is not looked into in this process")
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
