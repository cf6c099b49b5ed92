package amserver

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/videoactivmail/vam"
)

const octetStream = "application/octet-stream"

// media answers GET /m/{mid}/media (AM-7.15).
func (h *handler) media(w http.ResponseWriter, r *http.Request) error {
	p, err := pull(r)
	if err != nil {
		return err
	}
	m, err := h.Outbound.Media(r.Context(), p)
	if err != nil {
		return err
	}
	defer m.Content.Close()
	leave, err := h.sending(p.Token)
	if err != nil {
		return err
	}
	defer leave()
	header := w.Header()
	header.Set("Cache-Control", "private, no-cache")
	etag := ""
	if m.ETag != "" && m.Complete { // what grows is another representation each time
		etag = `"` + m.ETag + `"`
	}
	return h.serveRange(w, r, content{
		Content: m.Content, size: int64(m.Size), growing: !m.Complete,
		etag: etag, contentType: m.ContentType, withdrawn: m.Withdrawn,
	})
}

// content is something that ranges are served of.
type content struct {
	Content
	size        int64
	growing     bool
	etag        string // quoted; "" is none
	contentType string
	withdrawn   <-chan struct{}
}

// serveRange answers a GET or HEAD with all of c or one range of it (RFC 9110 section
// 14, AM-7.16). Several ranges in one request are ignored: their one use here would be
// to make the server work.
func (h *handler) serveRange(w http.ResponseWriter, r *http.Request, c content) error {
	header := w.Header()
	header.Set("Accept-Ranges", "bytes")
	if c.etag != "" {
		header.Set("ETag", c.etag)
		if noneMatch(r, c.etag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	status, start, end := http.StatusOK, int64(0), c.size
	if spec := r.Header.Get("Range"); spec != "" && ifRange(r, c.etag) {
		rg, ok := parseRange(spec)
		if ok {
			if start, end, ok = rg.resolve(c.size); !ok {
				header.Set("Content-Range", "bytes */"+strconv.FormatInt(c.size, 10))
				return &statusError{http.StatusRequestedRangeNotSatisfiable, vam.Errorf(vam.Invalid, "there are %d octets here", c.size).WithProblem("malformed")}
			}
			status = http.StatusPartialContent
			header.Set("Content-Range", contentRange(start, end, c.size, c.growing))
		}
	}
	if c.contentType == "" {
		c.contentType = octetStream
	}
	header.Set("Content-Type", c.contentType)
	header.Set("Content-Length", strconv.FormatInt(end-start, 10))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	out := newBodyWriter(w, c.withdrawn)
	defer out.close()
	return h.sendAt(out, c, start, end-start)
}

// contentRange writes the field; the complete length of something that grows is not
// known (AM-7.17).
func contentRange(start, end, size int64, growing bool) string {
	b := make([]byte, 0, 48)
	b = append(b, "bytes "...)
	b = strconv.AppendInt(b, start, 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, end-1, 10)
	b = append(b, '/')
	if growing {
		return string(append(b, '*'))
	}
	return string(strconv.AppendInt(b, size, 10))
}

// byteRange is one range of a Range field: from first on, up to last (-1: the end), or
// the last suffix octets.
type byteRange struct {
	first, last int64
	suffix      bool
}

// parseRange reads a Range field with one range. Anything else is not ok and ignored,
// as RFC 9110 section 14.2 allows.
func parseRange(s string) (byteRange, bool) {
	unit, set, ok := strings.Cut(s, "=")
	if !ok || !strings.EqualFold(unit, "bytes") || strings.Contains(set, ",") {
		return byteRange{}, false
	}
	first, last, ok := strings.Cut(strings.Trim(set, " \t"), "-")
	if !ok {
		return byteRange{}, false
	}
	if first == "" {
		n, ok := count(last)
		return byteRange{first: n, suffix: true}, ok
	}
	rg := byteRange{last: -1}
	if rg.first, ok = count(first); !ok {
		return byteRange{}, false
	}
	if last != "" {
		if rg.last, ok = count(last); !ok || rg.last < rg.first {
			return byteRange{}, false
		}
	}
	return rg, true
}

// resolve returns the octets [start, end) of a range in size octets; false when there
// are none.
func (rg byteRange) resolve(size int64) (start, end int64, ok bool) {
	switch {
	case rg.suffix:
		start, end = max(0, size-rg.first), size
	case rg.last < 0:
		start, end = rg.first, size
	default:
		start, end = rg.first, min(rg.last+1, size)
	}
	return start, end, start < end
}

// ifRange reports whether the Range field counts (RFC 9110 section 13.1.5): there is no
// If-Range, or it is the same strong validator.
func ifRange(r *http.Request, etag string) bool {
	v := r.Header.Get("If-Range")
	return v == "" || (etag != "" && v == etag)
}

// noneMatch reports whether If-None-Match says that the client has this already.
func noneMatch(r *http.Request, etag string) bool {
	for _, field := range r.Header["If-None-Match"] {
		for _, v := range strings.Split(field, ",") {
			v = strings.TrimPrefix(strings.TrimSpace(v), "W/")
			if v == etag || v == "*" {
				return true
			}
		}
	}
	return false
}
