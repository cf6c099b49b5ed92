package web

import (
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/playback"
)

// Grants opens links; grant.Service does.
type Grants interface {
	Open(ctx context.Context, token string) (grant.Grant, error)
	Admit(ctx context.Context, token, pass string) (grant.Grant, error)
	Unlock(ctx context.Context, token, password string, from netip.Addr) (pass string, err error)
	Viewed(ctx context.Context, id grant.ID, p grant.Play) error
}

// Playback says what plays; playback.Service does.
type Playback interface {
	State(ctx context.Context, k message.Key) (playback.State, error)
	Wait(ctx context.Context, k message.Key, tag string) (playback.State, error)
	Open(ctx context.Context, k message.Key, name string) (*playback.Reader, error)
}

// Entries says where a message stands in the mailbox of who gave the link; mailbox.Store
// does.
type Entries interface {
	Entry(ctx context.Context, account int64, origin vam.Domain, id vam.MessageID) (mailbox.Entry, error)
}

// Options of New. Fields without a default are required.
type Options struct {
	Grants   Grants
	Playback Playback
	Messages *message.Service
	Entries  Entries
	// Host is the name that the pages give to this server.
	Host string
	// URL is what links begin with, such as "https://video.b.example"; "" is what a request
	// says that it was sent to.
	URL string
	// Catalogues are further languages, beside English and German.
	Catalogues []*Catalogue
	// Stopping, if not nil, ends when the server stops: those who wait are then answered.
	Stopping context.Context
	Now      func() time.Time // time.Now
	Log      *slog.Logger     // discards
}

// Handler serves the watch pages. It is safe for concurrent use and starts nothing that
// outlives a request.
type Handler struct {
	o         Options
	words     []*Catalogue
	statics   *statics
	templates *template.Template
	copies    copyBuffers
	served    *served
	stalls    *stalls
	views     *views
	waiters   chan struct{}
}

var _ http.Handler = (*Handler)(nil)

// maxWaiters is how many requests for news are held at the same time.
const maxWaiters = 512

// New returns the handler. Errors: Invalid for a catalogue that is not complete.
func New(o Options) (*Handler, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Stopping == nil {
		o.Stopping = context.Background()
	}
	h := &Handler{o: o, served: newServed(), stalls: newStalls(), views: newViews(), waiters: make(chan struct{}, maxWaiters)}
	var err error
	if h.words, err = ownCatalogues(); err != nil {
		return nil, err
	}
	h.words = append(h.words, o.Catalogues...)
	for _, c := range h.words {
		if err := c.complete(h.words[0]); err != nil {
			return nil, err
		}
	}
	if h.statics, err = newStatics(); err != nil {
		return nil, err
	}
	h.templates, err = template.ParseFS(templateFiles, "templates/*.html")
	return h, err
}

// visit is one request.
type visit struct {
	*http.Request
	w     http.ResponseWriter
	h     *Handler
	words *Catalogue
	at    target
	grant grant.Grant // zero before the link was opened
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	v := &visit{Request: r, w: w, h: h, words: language(h.words, r)}
	if err := v.route(); err != nil {
		v.fail(err)
	}
}

func (v *visit) route() error {
	path := v.URL.Path
	switch {
	case strings.HasPrefix(path, watchPath):
		return v.watch()
	case v.Method != http.MethodGet && v.Method != http.MethodHead:
		return v.refuse("GET, HEAD")
	case path == "/":
		return v.home()
	case path == "/robots.txt":
		v.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		v.w.Header().Set("Cache-Control", "public, max-age=86400")
		writeWhole(v.w, v.Request, http.StatusOK, []byte("User-agent: *\nDisallow: /\n"))
		return nil
	case path == "/favicon.ico":
		v.h.statics.icon.serve(v.w, v.Request)
		return nil
	}
	if f, ok := v.h.statics.find(path); ok {
		f.serve(v.w, v.Request)
		return nil
	}
	return errMissing()
}

func errMissing() error { return vam.Errorf(vam.NotFound, "there is nothing at this address") }

// watch answers everything below a link.
func (v *visit) watch() error {
	at, ok := parseTarget(v.URL.Path)
	if !ok {
		return errMissing()
	}
	v.at = at
	serve, methods := v.find(at.rest)
	if serve == nil {
		return errMissing()
	}
	v.Pattern = watchPath + "{token}" + routeOf(at.rest)
	if !slices.Contains(strings.Split(methods, ", "), v.Method) {
		return v.refuse(methods)
	}
	if v.Method == http.MethodPost && at.rest == "" {
		return serve() // the password itself
	}
	var err error
	v.grant, err = v.h.o.Grants.Admit(v.Context(), at.token, at.pass)
	if err != nil && vam.KindOf(err) == vam.Unauthenticated && at.rest == "" {
		return v.askPassword(http.StatusOK, "")
	}
	if err != nil {
		return err
	}
	return serve()
}

// routeOf is what http.Request.Pattern says of the rest of a path that find knows: a few
// names, for metrics.
func routeOf(rest string) string {
	switch first, _, _ := strings.Cut(rest, "/"); first {
	case "":
		return ""
	case "state", "played", "original", "play", "hls":
		return "/" + first
	}
	return "/{asset}"
}

// find is what answers to the rest of a path, and to which methods.
func (v *visit) find(rest string) (func() error, string) {
	const read = "GET, HEAD"
	switch rest {
	case "":
		if v.Method == http.MethodPost {
			return v.unlock, read + ", POST"
		}
		return v.page, read + ", POST"
	case "state":
		return v.state, read
	case "played":
		return v.played, "POST"
	case "original":
		return v.original, read
	case "play/original":
		return v.playOriginal, read
	case "play/view":
		return v.playView, read
	case "hls/index.m3u8":
		return v.hlsIndex, read
	case media.PosterFile:
		return v.poster, read
	}
	if name, ok := assetName(rest); ok {
		return func() error { return v.asset(name) }, read
	}
	if track, file, ok := hlsName(rest); ok {
		return func() error { return v.hlsFile(track, file) }, read
	}
	return nil, ""
}

func (v *visit) refuse(methods string) error {
	v.w.Header().Set("Allow", methods)
	v.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	writeWhole(v.w, v.Request, http.StatusMethodNotAllowed, []byte("this address takes "+methods+"\n"))
	return nil
}

// fail answers with a sentence: as a page where one was asked for, else as text.
func (v *visit) fail(err error) {
	if v.Context().Err() != nil && errors.Is(err, v.Context().Err()) {
		return // nobody listens
	}
	kind := vam.KindOf(err)
	level := slog.LevelDebug
	if kind == vam.Internal || kind == vam.Corrupt {
		level = slog.LevelError
	}
	v.h.o.Log.Log(v.Context(), level, "watch page request failed", "method", v.Method, "path", RedactPath(v.URL.Path), "err", err)
	v.retryAfter(err)
	header := v.w.Header()
	for _, name := range []string{"Content-Disposition", "Content-Length", "ETag", "Accept-Ranges"} {
		header.Del(name)
	}
	header.Set("Cache-Control", "no-store")
	if v.at.rest == "" && (v.Method == http.MethodGet || v.Method == http.MethodHead || v.at.token != "") {
		v.problem(err)
		return
	}
	header.Set("Content-Type", "text/plain; charset=utf-8")
	writeWhole(v.w, v.Request, status(kind), []byte(vam.Public(err)+"\n"))
}

// retryAfter tells a client when another try is worth it, if the error says so.
func (v *visit) retryAfter(err error) {
	var e *vam.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		v.w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter/time.Second)+1))
	}
}

// status is that of a kind towards a browser.
func status(k vam.ErrorKind) int {
	switch k {
	case vam.Invalid:
		return http.StatusBadRequest
	case vam.Unauthenticated, vam.Denied:
		return http.StatusForbidden // 401 would ask for HTTP authentication
	case vam.NotFound:
		return http.StatusNotFound
	case vam.Gone:
		return http.StatusGone
	case vam.Conflict:
		return http.StatusConflict
	case vam.TooLarge:
		return http.StatusRequestEntityTooLarge
	case vam.Busy:
		return http.StatusTooManyRequests
	case vam.Unavailable, vam.OverQuota:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func itoa(n int) string { return strconv.Itoa(n) }
