package userapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
)

// media serves the bytes of a message, also while they arrive: what is not here yet
// is waited for. Ranges are those of the final file.
func (h *Handler) media(r *request) error {
	e, k, err := h.held(r)
	if err != nil {
		return err
	}
	if err := readable(e); err != nil {
		return err
	}
	m, err := h.o.Messages.Get(r.Context(), k)
	if err != nil {
		return err
	}
	header := r.w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	name := "message-" + string(k.ID)
	if seal, err := h.o.Messages.SealRecord(r.Context(), m); err == nil && seal.Name != "" {
		name = seal.Name
	}
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	if !m.Head.SealedAt.IsZero() && m.Head.MediaBytes == 0 {
		header.Set("Content-Length", "0")
		r.w.WriteHeader(http.StatusOK)
		return nil
	}
	media, err := h.o.Messages.OpenMedia(r.Context(), k)
	if err != nil && vam.KindOf(err) == vam.NotFound && e.State == mailbox.Arriving {
		return vam.Errorf(vam.Unavailable, "nothing of the message has arrived yet; ask again in a moment").WithRetry(2 * time.Second)
	}
	if err != nil {
		return err
	}
	defer func() { _ = media.Close() }()
	if m.Complete {
		header.Set("ETag", fmt.Sprintf("%q", fmt.Sprintf("%x", m.Head.Digest[:])))
		content := media.Content(r.Context(), m.Head.MediaBytes)
		defer func() { _ = content.Close() }()
		http.ServeContent(r.w, r.Request, "", time.Time{}, content)
		return nil
	}
	return h.stream(r, media)
}

func readable(e mailbox.Entry) error {
	if e.Bounce {
		return errReport()
	}
	switch e.State {
	case mailbox.Held:
		return vam.Errorf(vam.Conflict, "the message is held; accept it first, then its media is fetched")
	case mailbox.Withdrawn:
		return vam.Errorf(vam.Gone, "the sender took this message back").WithProblem("revoked")
	case mailbox.Expired:
		return vam.Errorf(vam.Gone, "this message has expired").WithProblem("expired")
	case mailbox.Failed, mailbox.Declined, mailbox.Lapsed:
		return vam.Errorf(vam.NotFound, "the message is %s; its media is not here", e.State)
	}
	return nil
}

func errReport() error {
	return vam.Errorf(vam.NotFound, "this is a report of the mail system, which has no file; its words say all")
}

// span is what a Range asks for of a message that still arrives: octets [from, to), to
// being -1 where the end is not known yet.
type span struct {
	from, to int64
	ranged   bool
}

// spanOf reads a Range (RFC 9110 section 14). As long as the end of a message is not
// known only one with a place to start from has a meaning; otherwise one that cannot be
// met or understood is ignored, as it may be. Invalid.
func spanOf(header string, size int64, final bool) (span, error) {
	whole := span{to: -1}
	if final {
		whole.to = size
	}
	if header == "" {
		return whole, nil
	}
	set, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(strings.TrimSpace(set), "-")
	from, err1 := offset(first)
	to, err2 := offset(last)
	switch {
	case ok && dash && err1 == nil && last == "":
		return span{from, whole.to, true}, nil
	case ok && dash && err1 == nil && err2 == nil && from <= to && final:
		return span{from, min(to+1, size), true}, nil
	case ok && dash && first == "" && err2 == nil && final:
		return span{max(0, size-to), size, true}, nil
	case !final:
		return whole, vam.Errorf(vam.Invalid, "the message still arrives and its end is not known; ask for one range that is open at its end, as in bytes=0-")
	}
	return whole, nil
}

func offset(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 53)
	return int64(n), err
}

// contentRange is that of an answer that goes on to the end, which may not be known yet
// (RFC 8673 section 2).
func (s span) contentRange(size int64) string {
	if s.to >= 0 {
		return fmt.Sprintf("bytes %d-%d/%d", s.from, s.to-1, size)
	}
	const veryLarge = 1<<53 - 1
	return fmt.Sprintf("bytes %d-%d/*", s.from, int64(veryLarge))
}

// stream sends a message that still arrives, waiting for what is not here.
func (h *Handler) stream(r *request, media *message.Media) error {
	size, final := media.Size()
	s, err := spanOf(r.Header.Get("Range"), size, final)
	if err != nil {
		return err
	}
	wait, cancel := context.WithCancel(r.Context())
	defer cancel()
	if h.o.Stopping != nil {
		defer context.AfterFunc(h.o.Stopping, cancel)()
	}
	if r.Method != http.MethodHead { // which waits for nothing
		err = media.WaitFor(wait, s.from)
	}
	if err != nil && wait.Err() != nil && r.Context().Err() == nil {
		return vam.Errorf(vam.Unavailable, "this server is being stopped; ask again in a while").WithProblem("maintenance").WithRetry(5 * time.Second)
	}
	if size, final = media.Size(); final && s.to < 0 {
		s.to = size // it was sealed meanwhile
	}
	header := r.w.Header()
	if final && s.from >= size {
		header.Set("Content-Range", fmt.Sprintf("bytes */%d", size))
		r.w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return nil
	}
	if err != nil {
		return err
	}
	status := http.StatusOK
	if s.to >= 0 {
		header.Set("Content-Length", strconv.FormatInt(s.to-s.from, 10))
	}
	header.Set("Accept-Ranges", "bytes")
	if s.ranged {
		status = http.StatusPartialContent
		header.Set("Content-Range", s.contentRange(size))
	}
	r.w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	copySpan(wait, r.w, media, s)
	return nil
}

// copySpan sends a span as it comes. A body that must end early is cut, so that nobody
// takes it for whole.
func copySpan(ctx context.Context, w http.ResponseWriter, media *message.Media, s span) {
	flush := http.NewResponseController(w)
	buf := make([]byte, 256<<10)
	for at := s.from; s.to < 0 || at < s.to; {
		err := media.WaitFor(ctx, at)
		if errors.Is(err, io.EOF) && s.to < 0 {
			return
		}
		n := 0
		if err == nil {
			end := media.Available(at)
			if s.to >= 0 {
				end = min(end, s.to)
			}
			n, err = media.ReadAt(buf[:min(int64(len(buf)), end-at)], at)
		}
		if err != nil && n == 0 {
			panic(http.ErrAbortHandler)
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return
		}
		at += int64(n)
		_ = flush.Flush()
	}
}
