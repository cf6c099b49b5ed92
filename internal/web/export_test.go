package web

import (
	"io"
	"net/http"
	"time"
)

// What the tests of the words need.
var (
	Preferred   = preferred
	ParseTarget = func(path string) (token, pass, rest string, ok bool) {
		t, ok := parseTarget(path)
		return t.token, t.pass, t.rest, ok
	}
	OwnCatalogues = ownCatalogues
	DrawWave      = drawWave
	Clock         = clock
	EngineOf      = engineOf
	ReadRange     = readRange
)

func (c *Catalogue) Size(n int64) string         { return c.size(n) }
func (c *Catalogue) When(t time.Time) string     { return c.when(t) }
func (c *Catalogue) Complete(o *Catalogue) error { return c.complete(o) }
func (c *Catalogue) Spoken(d time.Duration) string {
	s, err := c.spoken(d)
	if err != nil {
		return err.Error()
	}
	return s
}

// Limits that the tests pass.
const (
	MaxRanges  = maxRanges
	StallAfter = stallAfter
	CopySize   = copySize
	SmallSize  = smallSize
	QuickSize  = quickSize
	QuickAfter = quickAfter
)

// ServeContent sends a body as media is sent.
func ServeContent(w http.ResponseWriter, r *http.Request, body io.ReadSeeker, size int64) {
	content{ReadSeeker: body, size: size, etag: `"x"`}.serve(w, r, new(copyBuffers))
}
