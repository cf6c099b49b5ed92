package telemetry

import (
	"fmt"
	"io"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics are the series of one server. Label values come from closed sets in the
// code: never an address, a domain or a message, because a stranger could then
// make series without end. All fields are safe for concurrent use.
type Metrics struct {
	// Offers counts decisions about one recipient. direction: in, out. result: the
	// recipient state of the answer, or failed.
	Offers *prometheus.CounterVec
	// Deliveries counts recipients that reached an end. result: stored, failed,
	// rejected, declined, lapsed, withdrawn.
	Deliveries *prometheus.CounterVec
	// MediaBytes counts media octets that were pulled. direction: in (by this server),
	// out (from it).
	MediaBytes *prometheus.CounterVec
	// ResumedBytes counts media octets that a transfer did not fetch again after it
	// was cut.
	ResumedBytes prometheus.Counter
	// Pulls counts attempts to pull a message. result: done, cut (it goes on later),
	// refused (it never will).
	Pulls *prometheus.CounterVec
	// FirstPart observes seconds from an accepted offer to its first playable part.
	FirstPart prometheus.Histogram
	// MediaWork counts what was done on recordings. work: probe, poster, rendition …
	// result: done, refused (the recording is the reason), failed (this server is).
	MediaWork *prometheus.CounterVec
	// Requests counts answered requests. role: peer, user, watch. operation: method and route.
	// status: the HTTP status code.
	Requests *prometheus.CounterVec
	// Limited counts refusals by a limit. limit: the key of the configuration.
	Limited *prometheus.CounterVec
	// Strangers counts connections that were not VAM. kind: what they looked like.
	Strangers *prometheus.CounterVec

	registry *prometheus.Registry
	defs     []Definition
}

// Definition describes one series for the reference.
type Definition struct {
	Name, Type, Help string
	Labels           []string
}

// Gauges are read at each scrape. A nil function leaves its series out. They must
// be safe for concurrent use and quick.
type Gauges struct {
	QueueJobs      func() float64 // offers that wait for delivery
	QueueOldest    func() float64 // seconds since the oldest of them was queued
	PullsOpen      func() float64 // pulls that run now
	StoreFree      func() float64 // octets that the disk has for media
	Connections    func() float64 // open connections of strangers, peers and users
	WireSent       func() float64 // octets sent over HTTP, a counter
	WireReceived   func() float64 // octets received over HTTP, a counter
	MediaJobs      func() float64 // jobs on recordings that wait or run
	MediaOldest    func() float64 // seconds since the oldest of them was made
	CertificateEnd func() float64 // seconds until the first certificate expires
}

// NewMetrics makes a registry of its own with the Go runtime, the process and
// every series of this package. version and revision are those of the program.
func NewMetrics(version, revision string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "vam_build_info", Help: "Always 1; the labels say which program this is."}, []string{"version", "revision"})
	m.define("vam_build_info", "gauge", "Always 1; the labels say which program this is.", []string{"version", "revision"})
	m.registry.MustRegister(build)
	build.WithLabelValues(version, revision).Set(1)

	m.Offers = m.counter("vam_offers_total", "Decisions about one recipient of an offer.", "direction", "result")
	m.Deliveries = m.counter("vam_deliveries_total", "Recipients of outgoing messages that reached an end.", "result")
	m.MediaBytes = m.counter("vam_media_bytes_total", "Media octets that were pulled, by this server (in) and from it (out).", "direction")
	m.ResumedBytes = m.counter("vam_resumed_bytes_total", "Media octets that were not fetched again after a cut.").WithLabelValues()
	m.Pulls = m.counter("vam_pulls_total", "Attempts to pull a message: done, cut (it goes on later) or refused (it never will).", "result")
	m.FirstPart = m.histogram("vam_first_part_seconds", "Seconds from an accepted offer to its first playable part.")
	m.MediaWork = m.counter("vam_media_work_total", "What was done on recordings: done, refused (the recording is the reason) or failed (this server is).", "work", "result")
	m.Requests = m.counter("vam_requests_total", "Requests that were answered.", "role", "operation", "status")
	m.Limited = m.counter("vam_limited_total", "Requests that a limit refused; the label is its key in the configuration.", "limit")
	m.Strangers = m.counter("vam_strangers_total", "Connections and datagrams that were not VAM, by what they looked like.", "kind")
	m.defs = append(m.defs, gaugeDefinitions()...)
	return m
}

// Gatherer is what Handler serves.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// Definitions lists every series of this package, whether it has a value or not.
func (m *Metrics) Definitions() []Definition { return m.defs }

func (m *Metrics) define(name, kind, help string, labels []string) {
	m.defs = append(m.defs, Definition{Name: name, Type: kind, Help: help, Labels: labels})
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	m.define(name, "counter", help, labels)
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) histogram(name, help string) prometheus.Histogram {
	m.define(name, "histogram", help, nil)
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(0.01, 2.5, 10)})
	m.registry.MustRegister(h)
	return h
}

type gauge struct {
	name, kind, help string
	read             func(Gauges) func() float64
}

func gauges() []gauge {
	return []gauge{
		{"vam_queue_jobs", "gauge", "Offers that wait for delivery.", func(g Gauges) func() float64 { return g.QueueJobs }},
		{"vam_queue_oldest_seconds", "gauge", "Age of the oldest of them.", func(g Gauges) func() float64 { return g.QueueOldest }},
		{"vam_pulls_open", "gauge", "Pulls that run now.", func(g Gauges) func() float64 { return g.PullsOpen }},
		{"vam_store_free_bytes", "gauge", "Octets that the disk of the data folder has for media.", func(g Gauges) func() float64 { return g.StoreFree }},
		{"vam_connections", "gauge", "Open connections on the VAM port.", func(g Gauges) func() float64 { return g.Connections }},
		{"vam_wire_sent_bytes_total", "counter", "Octets of HTTP that were sent, as server and as client, before TLS or QUIC framing.", func(g Gauges) func() float64 { return g.WireSent }},
		{"vam_wire_received_bytes_total", "counter", "Octets of HTTP that were received, counted alike.", func(g Gauges) func() float64 { return g.WireReceived }},
		{"vam_media_jobs", "gauge", "Jobs on recordings that wait or run.", func(g Gauges) func() float64 { return g.MediaJobs }},
		{"vam_media_oldest_seconds", "gauge", "Age of the oldest of them.", func(g Gauges) func() float64 { return g.MediaOldest }},
		{"vam_certificate_expiry_seconds", "gauge", "Time until the first certificate expires.", func(g Gauges) func() float64 { return g.CertificateEnd }},
	}
}

func gaugeDefinitions() []Definition {
	var out []Definition
	for _, g := range gauges() {
		out = append(out, Definition{Name: g.name, Type: g.kind, Help: g.help})
	}
	return out
}

// Watch registers the gauges; it is called once.
func (m *Metrics) Watch(g Gauges) {
	for _, d := range gauges() {
		read := d.read(g)
		switch {
		case read == nil:
		case d.kind == "counter":
			m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: d.name, Help: d.help}, read))
		default:
			m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: d.name, Help: d.help}, read))
		}
	}
}

// WriteReference writes the content of docs/metrics.md.
func (m *Metrics) WriteReference(w io.Writer) error {
	var b strings.Builder
	b.WriteString(`# Metrics

The listener of ` + "`metrics.listen`" + ` (see [configuration](configuration.md)) answers ` + "`/metrics`" + ` in the Prometheus text format,
` + "`/healthz`" + ` with 200 while the process lives, and ` + "`/readyz`" + ` with 200 while it can take work, otherwise 503 and the
failing checks as JSON. Beside the series below there are those of the Go runtime and the process. Label values are
closed sets; no address, domain or message ever becomes a label.

| series | type | labels | meaning |
|---|---|---|---|
`)
	for _, d := range m.defs {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.Name, d.Type, strings.Join(d.Labels, ", "), d.Help)
	}
	b.WriteString("\nThis page is generated from the program (`make docs`).\n")
	_, err := io.WriteString(w, b.String())
	return err
}
