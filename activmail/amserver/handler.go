package amserver

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// BasePath is what every resource of VAM/1 starts with (AM-7.1).
const BasePath = "/vam/v1"

// HandlerOptions say who answers.
type HandlerOptions struct {
	// Inbound and Outbound answer; a nil one answers 404.
	Inbound  Inbound
	Outbound Outbound
	// Keys finds request keys, usually in DNS. It is asked only after the name of the
	// key was found to belong to the domain that must have signed and after Admit.
	Keys activmail.KeyLookup
	// Admit, if not nil, may refuse a request before anything is spent on it, usually
	// with Busy and a RetryAfter. It is asked before the body of a signed request is
	// read, and once more, with the key's domain, before Keys.
	Admit func(ctx context.Context, a Admission) error
	// Authority, if not nil, says whether a host name, lower case and without port, is
	// one of this server's own: another one is answered 421. A signature covers the
	// authority, so this ends replays to another server.
	Authority func(host string) bool
	// Limits bound what a peer may send; zero is activmail.DefaultLimits.
	Limits activmail.Limits
	// Waits and WaitsPerToken bound the requests that wait for news (Prefer: wait), in
	// all and for one pull token; 0 is 20,000 and 8 (AM-10.21).
	Waits, WaitsPerToken int
	// Bodies and BodiesPerToken bound the answers with media or a blob under way, in all
	// and for one pull token; 0 is 2,000 and 64 (AM-10.28). Each holds a buffer of 1 MiB.
	Bodies, BodiesPerToken int
	// BodyMemory bounds the request bodies held in memory at one time, of which one
	// address may hold a quarter, or one body where that is more; 0 is 64 MiB.
	BodyMemory vam.Bytes
	// Failed, if not nil, is told of every error that was answered, for logs and
	// metrics. It must not block.
	Failed func(ctx context.Context, f Failure)
	// Now is the clock of signature checks; nil is time.Now.
	Now func() time.Time
}

// Admission is a request that wants to be admitted.
type Admission struct {
	// Operation is a short fixed name: "put-offer", "offer-state", "poke", "head",
	// "log", "entry", "media", "blob", "proof", "receipt", "token".
	Operation string
	Remote    netip.AddrPort
	// Domain claims to have signed; it is not verified yet, and "" before the body is
	// read.
	Domain vam.Domain
}

// Failure is an error that was answered.
type Failure struct {
	Operation string
	Remote    netip.AddrPort
	Status    int
	Err       error
}

// handler is the state that requests share.
type handler struct {
	HandlerOptions
	mux    *http.ServeMux
	memory *bodyMemory
	waits  places
	bodies places
	nonces nonces
	pieces pieces
}

// operation answers one method of one resource. An error that it returns is answered as
// a problem; it must not have written anything then.
type operation struct {
	name  string
	serve func(h *handler, w http.ResponseWriter, r *http.Request) error
}

// NewHandler makes the handler of all resources of VAM/1 for peers. It answers every
// path below BasePath; unknown ones are 404.
func NewHandler(options HandlerOptions) http.Handler {
	h := &handler{HandlerOptions: options, mux: http.NewServeMux()}
	if h.Limits == (activmail.Limits{}) {
		h.Limits = activmail.DefaultLimits()
	}
	if h.Now == nil {
		h.Now = time.Now
	}
	if h.Waits == 0 {
		h.Waits = 20_000
	}
	if h.WaitsPerToken == 0 {
		h.WaitsPerToken = 8
	}
	if h.Bodies == 0 {
		h.Bodies = 2000
	}
	if h.BodiesPerToken == 0 {
		h.BodiesPerToken = 64
	}
	if h.BodyMemory == 0 {
		h.BodyMemory = 64 * vam.MiB
	}
	h.memory = newBodyMemory(h.BodyMemory, max(h.Limits.Offer, h.Limits.Document))
	if options.Inbound != nil {
		h.handle("/in/{origin}/{mid}/{offer}", methods{"PUT": {"put-offer", (*handler).putOffer}, "GET": {"offer-state", (*handler).offerState}})
		h.handle("/in/{origin}/{mid}/poke", methods{"POST": {"poke", (*handler).poke}})
	}
	if options.Outbound != nil {
		h.handle("/m/{mid}", methods{"GET": {"head", (*handler).head}})
		h.handle("/m/{mid}/log", methods{"GET": {"log", (*handler).getLog}})
		h.handle("/m/{mid}/e/{n}", methods{"GET": {"entry", (*handler).entry}})
		h.handle("/m/{mid}/media", methods{"GET": {"media", (*handler).media}})
		h.handle("/m/{mid}/b/{sum}", methods{"GET": {"blob", (*handler).blob}})
		h.handle("/m/{mid}/proof", methods{"GET": {"proof", (*handler).proof}})
		h.handle("/m/{mid}/rcpt/{rid}/{event}", methods{"PUT": {"receipt", (*handler).receipt}})
		h.handle("/m/{mid}/token", methods{"POST": {"token", (*handler).token}})
	}
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if otherVersion(r.URL.Path) {
			h.fail(w, r, "", vam.Errorf(vam.Invalid, "VAM/1 is spoken here, below %s, and no other version", BasePath).WithProblem("version"))
			return
		}
		h.fail(w, r, "", vam.Errorf(vam.NotFound, "there is nothing at this path; VAM/1 is served below %s", BasePath))
	})
	return h
}

// otherVersion reports whether a path is below the base path of another version of VAM
// (AM-15.1).
func otherVersion(path string) bool {
	rest, ok := strings.CutPrefix(path, "/vam/v")
	version, _, below := strings.Cut(rest, "/")
	_, number := count(version)
	return ok && below && number && version != "1"
}

// ServeHTTP answers one request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header["X-Content-Type-Options"] = []string{"nosniff"}
	header["Cache-Control"] = []string{"no-store"}
	// The mux would redirect to the clean form of a path, but a peer sends no other.
	if strings.Contains(r.URL.Path, "//") || strings.Contains(r.URL.Path, "/.") {
		h.fail(w, r, "", vam.Errorf(vam.NotFound, "there is nothing at this path"))
		return
	}
	h.mux.ServeHTTP(w, r)
}

// methods are the operations of a resource. HEAD is that of GET (AM-7.29).
type methods map[string]operation

func (h *handler) handle(path string, ops methods) {
	allow := make([]string, 0, len(ops)+1)
	for _, m := range []string{"GET", "PUT", "POST"} {
		if _, ok := ops[m]; ok {
			allow = append(allow, m)
		}
	}
	if _, ok := ops["GET"]; ok {
		allow = append(allow, "HEAD")
	}
	h.mux.HandleFunc(BasePath+path, func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		op, ok := ops[method]
		if !ok {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			h.answer(w, r, "", methodProblem(r.Method, allow), nil)
			return
		}
		h.run(w, r, op)
	})
}

func (h *handler) run(w http.ResponseWriter, r *http.Request, op operation) {
	err := h.checkAuthority(r)
	if err == nil {
		err = refuseBody(r)
	}
	if err == nil {
		err = op.serve(h, w, r)
	}
	if err != nil {
		h.fail(w, r, op.name, err)
	}
}

// checkAuthority ends requests that were meant for another server (AM-3.10) (AM-3.15).
func (h *handler) checkAuthority(r *http.Request) error {
	if h.Authority == nil || h.Authority(hostOf(r.Host)) {
		return nil
	}
	return vam.Errorf(vam.NotFound, "this server does not answer for that name; look up the SRV record of the domain again").
		WithProblem("not-our-domain")
}

// refuseBody ends a GET that carries content, which means nothing here and would fill
// memory while the request waits: HTTP/2 takes megabytes of what nobody reads.
func refuseBody(r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil
	}
	if r.ContentLength > 0 {
		return vam.Errorf(vam.Invalid, "%s has no body here", r.Method).WithProblem("malformed")
	}
	if r.ContentLength < 0 && r.ProtoMajor == 2 {
		_ = r.Body.Close() // whatever comes is dropped
	}
	return nil
}

// hostOf is the name in an authority, in lower case and without port.
func hostOf(authority string) string {
	host := strings.ToLower(authority)
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.TrimSuffix(host, ".")
}

// cutOff is the error of a body that broke off after its header was sent.
type cutOff struct{ err error }

func (e *cutOff) Error() string { return "the body broke off: " + e.err.Error() }
func (e *cutOff) Unwrap() error { return e.err }

// fail answers err as a problem. A body that broke off resets its stream instead, so
// that nobody takes the piece for the whole.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, op string, err error) {
	if cut := (*cutOff)(nil); errors.As(err, &cut) {
		h.report(r, op, 0, err)
		panic(http.ErrAbortHandler)
	}
	p := activmail.ProblemFor(err)
	if own := (*statusError)(nil); errors.As(err, &own) {
		p.Status = own.status
	}
	switch p.Status {
	case http.StatusUnauthorized:
		if signedOperation(op) {
			w.Header().Set("Accept-Signature", activmail.AcceptSignature(r.Method != "GET" && r.Method != "HEAD"))
		} else {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
	case http.StatusPreconditionFailed:
		// Here a log position is something that was asked for and is not there (AM-7.6,
		// AM-7.14); as a precondition it belongs to the submission role.
		if pos := (*activmail.PositionError)(nil); errors.As(err, &pos) {
			p.Status = http.StatusRequestedRangeNotSatisfiable
		}
	}
	h.answer(w, r, op, p, err)
}

func (h *handler) answer(w http.ResponseWriter, r *http.Request, op string, p activmail.Problem, err error) {
	h.report(r, op, p.Status, err)
	p.WriteTo(w)
}

func (h *handler) report(r *http.Request, op string, status int, err error) {
	if h.Failed != nil {
		h.Failed(r.Context(), Failure{Operation: op, Remote: remoteOf(r), Status: status, Err: err})
	}
}

func methodProblem(method string, allow []string) activmail.Problem {
	return activmail.Problem{
		Name: "not-found", Title: "Method not allowed", Status: http.StatusMethodNotAllowed, Size: -1,
		Detail: method + " means nothing here; " + strings.Join(allow, ", ") + " does",
	}
}

func remoteOf(r *http.Request) netip.AddrPort {
	p, _ := netip.ParseAddrPort(r.RemoteAddr)
	return unmap(p)
}
