package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
)

// original is the download of what was sent, as it was sent.
func (v *visit) original() error {
	m, src, err := v.open()
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	mediaHeaders(v.w.Header(), "application/octet-stream")
	name, _ := v.fileName(m)
	v.w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	return v.send(m, src)
}

// playOriginal is the original as a player takes it.
func (v *visit) playOriginal() error {
	st, err := v.h.o.Playback.State(v.Context(), v.grant.Key)
	if err != nil {
		return err
	}
	if st.Play == media.PlayNone || st.Verdict.Play != media.PlayOriginal {
		return vam.Errorf(vam.NotFound, "this recording is not played as it is")
	}
	m, src, err := v.open()
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	contentType, _, _ := mime.ParseMediaType(originalType(st.Info))
	mediaHeaders(v.w.Header(), contentType)
	return v.send(m, src)
}

// open opens the media of the message. Close it. A message of which nothing is here yet
// is Unavailable.
func (v *visit) open() (message.Message, *message.Media, error) {
	m, err := v.h.o.Messages.Get(v.Context(), v.grant.Key)
	if err != nil {
		return m, nil, err
	}
	src, err := v.h.o.Messages.OpenMedia(v.Context(), v.grant.Key)
	if err != nil && vam.KindOf(err) == vam.NotFound && !m.Complete {
		err = vam.Errorf(vam.Unavailable, "nothing of this message has arrived yet; try again in a moment").WithRetry(2 * time.Second)
	}
	return m, src, err
}

// send sends the original. As soon as its length is known there are ranges, of what has
// not arrived yet too: it is waited for.
func (v *visit) send(m message.Message, src *message.Media) error {
	ctx, cancel := v.untilStop()
	defer cancel()
	size, final := src.Size()
	if final {
		content{
			ReadSeeker: &waitingReader{ctx: ctx, src: src, size: size}, size: size, etag: etag(m, ""), modified: m.Head.SealedAt,
			alive: v.alive(src), sent: v.sent,
		}.serve(v.w, v.Request, &v.h.copies)
		return nil
	}
	return v.follow(ctx, src)
}

// etag names the octets of an original, or of a form that is computed from it.
func etag(m message.Message, form string) string {
	if m.Head.SealedAt.IsZero() {
		return fmt.Sprintf("%q", fmt.Sprintf("%s-%d", m.Media, m.Head.MediaBytes)+form)
	}
	return fmt.Sprintf("%q", fmt.Sprintf("%x", m.Head.Digest[:16])+form)
}

// untilStop is a context for what may wait: it ends with the request and when the server
// stops.
func (v *visit) untilStop() (context.Context, func()) {
	ctx, cancel := context.WithCancel(v.Context())
	stop := context.AfterFunc(v.h.o.Stopping, cancel)
	return ctx, func() { stop(); cancel() }
}

// recheckAfter is how often a link is looked up again while it is served.
const recheckAfter = 15 * time.Second

// alive ends a body when the message or the link is taken back meanwhile.
func (v *visit) alive(src *message.Media) func() error {
	next := v.h.o.Now().Add(recheckAfter)
	return func() error {
		if src != nil {
			if err := v.h.o.Messages.Gone(src.Message()); err != nil {
				return err
			}
		}
		now := v.h.o.Now()
		if now.Before(next) {
			return nil
		}
		next = now.Add(recheckAfter)
		_, err := v.h.o.Grants.Open(v.Context(), v.at.token)
		return err
	}
}

// sent notes that media went to the link.
func (v *visit) sent(int64) { v.h.served.add(v.grant.ID) }

// follow sends a recording whose end is not known yet, from its beginning to its end. A
// Range is ignored: it could not say of what it is one.
func (v *visit) follow(ctx context.Context, src *message.Media) error {
	if v.Method == http.MethodHead {
		v.w.WriteHeader(http.StatusOK)
		return nil
	}
	if err := src.WaitFor(ctx, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	v.w.WriteHeader(http.StatusOK)
	out := newPacedWriter(v.w, v.Request, &v.h.copies)
	out.alive, out.sent = v.alive(src), v.sent
	if _, err := out.ReadFrom(&waitingReader{ctx: ctx, src: src, size: -1}); err != nil {
		panic(http.ErrAbortHandler) // so that nobody takes it for whole
	}
	return nil
}

// waitingReader reads media, waiting for what is not here yet. It reads straight from
// where the media lies into what it is given.
type waitingReader struct {
	ctx  context.Context
	src  *message.Media
	at   int64
	size int64 // -1: to the end, wherever that will be
}

// Read implements io.Reader. It returns what is here rather than wait for more.
func (r *waitingReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.size >= 0 && r.at >= r.size {
		return 0, io.EOF
	}
	end := r.src.Available(r.at)
	if end <= r.at {
		if err := r.src.WaitFor(r.ctx, r.at); err != nil {
			return 0, err
		}
		end = r.src.Available(r.at)
	}
	n, err := r.src.ReadAt(p[:min(int64(len(p)), end-r.at)], r.at)
	r.at += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

// Seek implements io.Seeker for a size that is known.
func (r *waitingReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, vam.Errorf(vam.Invalid, "a seek before the start")
	}
	r.at = offset
	return offset, nil
}
