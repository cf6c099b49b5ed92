package daemon

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/fault"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/nativein"
	"github.com/videoactivmail/vam/internal/nativeout"
	"github.com/videoactivmail/vam/internal/reception"
	"github.com/videoactivmail/vam/internal/telemetry"
)

// The types of this file stand between a service and what it uses, and count. The
// services themselves know no metrics.

// meteredCarrier counts the answers to offers.
type meteredCarrier struct {
	delivery.Carrier
	metrics *telemetry.Metrics
}

func (c meteredCarrier) Deliver(ctx context.Context, a delivery.Attempt) ([]delivery.Update, error) {
	updates, err := c.Carrier.Deliver(ctx, a)
	for _, u := range updates {
		c.metrics.Offers.WithLabelValues("out", string(u.State)).Inc()
	}
	if err != nil {
		c.metrics.Offers.WithLabelValues("out", "failed").Add(float64(len(a.Offer.Recipients)))
		return updates, err
	}
	return updates, fault.Point("offer.answered")
}

// meteredDeliveries counts recipients that reached an end.
type meteredDeliveries struct {
	delivery.Store
	metrics *telemetry.Metrics
}

func (s meteredDeliveries) Settle(ctx context.Context, k message.Key, updates []delivery.Update, bounce func([]delivery.Update) (*delivery.Bounce, error)) ([]delivery.Update, error) {
	took, err := s.Store.Settle(ctx, k, updates, bounce)
	for _, u := range took {
		if u.State == vam.Stored || u.State.Final() {
			s.metrics.Deliveries.WithLabelValues(string(u.State)).Inc()
		}
	}
	return took, err
}

// meteredPeers counts what is pulled.
type meteredPeers struct {
	*nativeout.Peers
	metrics  *telemetry.Metrics
	messages *message.Service
	now      func() time.Time
}

func (p meteredPeers) Origin(ctx context.Context, as vam.Domain, k message.Key, token activmail.Token) (reception.Origin, error) {
	o, err := p.Peers.Origin(ctx, as, k, token)
	if err != nil {
		return nil, err
	}
	m, err := p.messages.Get(ctx, k)
	if err != nil {
		return nil, err
	}
	first := func() {}
	if have := p.have(ctx, k); have > 0 {
		p.metrics.ResumedBytes.Add(float64(have))
	} else {
		first = sync.OnceFunc(func() { p.metrics.FirstPart.Observe(p.now().Sub(m.Created).Seconds()) })
	}
	return meteredOrigin{o, p.metrics.MediaBytes.WithLabelValues("in"), first}, nil
}

// have is how much of a message's media is here from its start on.
func (p meteredPeers) have(ctx context.Context, k message.Key) int64 {
	media, err := p.messages.OpenMedia(ctx, k)
	if err != nil {
		return 0
	}
	defer func() { _ = media.Close() }()
	return media.Available(0)
}

// PutReceipt implements reception.Peers.
func (p meteredPeers) PutReceipt(ctx context.Context, as vam.Domain, k message.Key, r activmail.Receipt) error {
	if err := p.Peers.PutReceipt(ctx, as, k, r); err != nil {
		return err
	}
	return fault.Point("receipt.told")
}

type meteredOrigin struct {
	reception.Origin
	bytes prometheus.Counter
	first func()
}

func (o meteredOrigin) Media(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	body, err := o.Origin.Media(ctx, off, n)
	if err != nil {
		return nil, err
	}
	return &countedBody{ReadCloser: body, o: o, part: min(n, int64(activmail.FilePart))}, nil
}

func (o meteredOrigin) Entry(ctx context.Context, n int64, wait time.Duration) (line, checkpoint, blob []byte, err error) {
	line, checkpoint, blob, err = o.Origin.Entry(ctx, n, wait)
	o.bytes.Add(float64(len(blob)))
	if len(blob) > 0 {
		o.first()
	}
	return line, checkpoint, blob, err
}

// countedBody counts what is read, and notices the first part, which is the whole of a
// small file.
type countedBody struct {
	io.ReadCloser
	o    meteredOrigin
	part int64 // its length
	read int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.read < b.part && b.read+int64(n) >= b.part {
		b.o.first()
	}
	b.read += int64(n)
	b.o.bytes.Add(float64(n))
	if ferr := fault.Point("pull.read"); ferr != nil {
		return n, ferr
	}
	return n, err
}

// meteredInbound counts the answers that offers get here, and notices that a domain
// that could not be reached is back.
type meteredInbound struct {
	nativein.Inbound
	metrics *telemetry.Metrics
	heard   func(ctx context.Context, d vam.Domain)
}

func (i meteredInbound) PutOffer(ctx context.Context, req amserver.OfferRequest) (amserver.OfferResult, error) {
	res, err := i.Inbound.PutOffer(ctx, req)
	if err == nil {
		i.heard(ctx, req.Signed.Domain)
		if res.Status == amserver.OfferNew {
			for _, r := range res.Answer.Recipients {
				i.metrics.Offers.WithLabelValues("in", string(r.State)).Inc()
			}
		}
	}
	return res, err
}

func (i meteredInbound) Poke(ctx context.Context, req amserver.PokeRequest) error {
	err := i.Inbound.Poke(ctx, req)
	if err == nil {
		i.heard(ctx, req.Signed.Domain)
	}
	return err
}

// meteredOutbound counts the media that peers pull.
type meteredOutbound struct {
	nativein.Outbound
	bytes prometheus.Counter
	heard func(ctx context.Context, d vam.Domain)
}

func (o meteredOutbound) Media(ctx context.Context, pull amserver.Pull) (amserver.Media, error) {
	m, err := o.Outbound.Media(ctx, pull)
	if err == nil {
		m.Content = countedContent{m.Content, o.bytes}
	}
	return m, err
}

func (o meteredOutbound) PutReceipt(ctx context.Context, req amserver.ReceiptRequest) (bool, error) {
	fresh, err := o.Outbound.PutReceipt(ctx, req)
	if err == nil {
		o.heard(ctx, req.Signed.Domain)
	}
	return fresh, err
}

type countedContent struct {
	amserver.Content
	bytes prometheus.Counter
}

func (c countedContent) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Content.ReadAt(p, off)
	c.bytes.Add(float64(n))
	return n, err
}

// countRequests counts answers by route. Methods and routes are those of the handlers,
// so that nobody can make series without end.
func countRequests(next http.Handler, counter *prometheus.CounterVec, role string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := &statusWriter{ResponseWriter: w, status: http.StatusOK, role: role, r: r}
		defer func() {
			route, method := routeOf(r), r.Method
			switch {
			case route == "":
				method, route = "other", "other"
			case method != http.MethodGet && method != http.MethodPut && method != http.MethodPost && method != http.MethodDelete:
				method = "other"
			}
			counter.WithLabelValues(role, method+" "+route, strconv.Itoa(s.status)).Inc()
		}()
		next.ServeHTTP(s, r)
	})
}

// routeOf is the path that a handler registered for r, "" when none takes it.
func routeOf(r *http.Request) string {
	if _, path, ok := strings.Cut(r.Pattern, " "); ok {
		return path
	}
	return r.Pattern
}

// statusWriter notes the status; Unwrap keeps what http.ResponseController can do.
type statusWriter struct {
	http.ResponseWriter
	status int
	role   string
	r      *http.Request
}

func (s *statusWriter) WriteHeader(code int) {
	s.status = code
	if fault.Enabled && code < 300 {
		// What the request changed is durable, and whoever asked does not know it yet. The
		// names are such as "answer user POST /vam/v1/m/{mid}/send".
		_ = fault.Point("answer " + s.role + " " + s.r.Method + " " + routeOf(s.r)) // an error would be too late
	}
	s.ResponseWriter.WriteHeader(code)
}

func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }
