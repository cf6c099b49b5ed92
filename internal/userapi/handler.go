// Package userapi is the front door for a server's own users: submission, the
// mailbox and contacts, authenticated by device tokens.
package userapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/reception"
	"github.com/videoactivmail/vam/internal/submission"
	"github.com/videoactivmail/vam/internal/userwire"
)

const (
	maxJSON = 256 << 10 // of a request body that is a document
	maxLog  = 4 << 20   // of one append
)

// Options say who does the work.
type Options struct {
	Accounts   *account.Service
	Messages   *message.Service
	Submission *submission.Service
	Delivery   *delivery.Service
	Reception  *reception.Service
	Mailbox    mailbox.Store
	Links      Links
	LinkURL    func(token string) string // what opens a link
	// Stopping, if not nil, ends when the server stops: those who wait for a message to go
	// on are then let go, to come back to the server that starts.
	Stopping context.Context
	Now      func() time.Time
	Log      *slog.Logger
}

// Handler serves /vam/v1 for requests that carry a device token.
type Handler struct {
	o       Options
	mux     *http.ServeMux
	buffers blob.Buffers
}

var _ http.Handler = (*Handler)(nil)

// New returns the handler.
func New(o Options) *Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{o: o, mux: http.NewServeMux()}
	for pattern, f := range h.routes() {
		method, path, _ := strings.Cut(pattern, " ")
		h.mux.Handle(method+" "+userwire.Base+path, h.serve(f))
	}
	return h
}

// routes are every request that is answered, below userwire.Base.
func (h *Handler) routes() map[string]func(*request) error {
	return map[string]func(*request) error{
		"GET /me":                          h.me,
		"PUT /m/{mid}":                     h.put,
		"GET /m/{mid}":                     h.show,
		"PUT /m/{mid}/b/{sum}":             h.upload,
		"POST /m/{mid}/have":               h.have,
		"POST /m/{mid}/log":                h.append,
		"POST /m/{mid}/seal":               h.seal,
		"POST /m/{mid}/send":               h.send,
		"POST /m/{mid}/revoke":             h.revoke,
		"DELETE /m/{mid}":                  h.discard,
		"GET /box":                         h.list,
		"GET /box/{part}":                  h.find,
		"GET /box/{origin}/{mid}":          h.entry,
		"GET /box/{origin}/{mid}/media":    h.media,
		"GET /box/{origin}/{mid}/mail":     h.mail,
		"POST /box/{origin}/{mid}/accept":  h.accept,
		"POST /box/{origin}/{mid}/decline": h.decline,
		"POST /box/{origin}/{mid}/seen":    h.seen,
		"DELETE /box/{origin}/{mid}":       h.remove,
		"POST /box/{origin}/{mid}/links":   h.putLink,
		"GET /box/{origin}/{mid}/links":    h.links,
		"DELETE /links/{id}":               h.revokeLink,
		"GET /contacts":                    h.contacts,
		"PUT /contacts/{address}":          h.putContact,
		"DELETE /contacts/{address}":       h.dropContact,
	}
}

// Routes lists "METHOD /path" of every request that is answered, below userwire.Base, for
// docs/api.md.
func Routes() []string { return slices.Sorted(maps.Keys(new(Handler).routes())) }

// Takes reports whether the request is one for this handler: it carries what looks
// like a device token.
func Takes(r *http.Request) bool {
	return strings.HasPrefix(bearer(r), "vd_")
}

// bearer is the secret of an Authorization header of that kind (RFC 9110 section 11.4).
func bearer(r *http.Request) string {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimLeft(secret, " ")
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// request is one authenticated request.
type request struct {
	*http.Request
	w    http.ResponseWriter
	acct account.Account
}

func (h *Handler) serve(f func(*request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		acct, err := h.o.Accounts.Authenticate(r.Context(), bearer(r))
		if err == nil {
			err = f(&request{Request: r, w: w, acct: acct})
		}
		if err != nil {
			h.fail(w, r, acct, err)
		}
	})
}

func (h *Handler) fail(w http.ResponseWriter, r *http.Request, acct account.Account, err error) {
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		err = vam.Errorf(vam.TooLarge, "the request body may have %s (this server's limit)", vam.Bytes(tooBig.Limit)).WithProblem("too-large")
	}
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // nobody listens
	}
	level := slog.LevelDebug
	if vam.KindOf(err) == vam.Internal || vam.KindOf(err) == vam.Corrupt {
		level = slog.LevelError
	}
	h.o.Log.Log(r.Context(), level, "request failed", "method", r.Method, "path", r.URL.Path, "account", acct.Address, "err", err)
	if vam.KindOf(err) == vam.Unauthenticated {
		w.Header().Set("WWW-Authenticate", `Bearer realm="vam"`)
	}
	activmail.ProblemFor(err).WriteTo(w)
}

// decode reads a JSON body strictly: a member that is not known is an error, so that
// a misspelt one is not silently ignored (AM-13.17). An empty body is the zero value.
func decode[T any](r *request) (v T, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(r.w, r.Body, maxJSON))
	if err != nil || len(body) == 0 {
		return v, err
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, vam.Errorf(vam.Invalid, "the body is not the JSON that is wanted: %s", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return v, vam.Errorf(vam.Invalid, "there is something behind the JSON in the body")
	}
	return v, nil
}

func (r *request) answer(status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	r.w.Header().Set("Content-Type", "application/json")
	r.w.WriteHeader(status)
	_, _ = r.w.Write(append(body, '\n')) // a reader that is gone needs no answer
	return nil
}

// me is AM-13.15.
func (h *Handler) me(r *request) error {
	l := h.o.Messages.Limits()
	return r.answer(http.StatusOK, userwire.Me{
		Address: r.acct.Address, Name: r.acct.Name, Quota: int64(r.acct.Quota), Used: int64(r.acct.Used),
		Limits: userwire.Limits{Part: int64(l.Part), Message: int64(l.Message), Lines: l.Lines, Recipients: l.Recipients, Text: submission.MaxText},
	})
}
