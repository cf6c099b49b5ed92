package harness

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Metrics are the series of a server at one moment, by name and labels as they are
// written: vam_media_bytes_total{direction="in"}. A series without a value is 0.
type Metrics map[string]float64

// Metrics scrapes the server.
func (s *Server) Metrics() Metrics {
	s.w.T.Helper()
	m, err := s.scrape(s.w.T.Context())
	s.w.must(err)
	return m
}

func (s *Server) scrape(ctx context.Context) (Metrics, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Config.Metrics.Listen+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metrics: %s", res.Status)
	}
	m := Metrics{}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		name, value, ok := cutLast(lines.Text(), " ")
		if strings.HasPrefix(name, "#") || !ok {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("metrics: %q", lines.Text())
		}
		m[name] = v
	}
	return m, lines.Err()
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Sum adds up the series of a name over all labels.
func (m Metrics) Sum(name string) float64 {
	var sum float64
	for k, v := range m {
		if k == name || strings.HasPrefix(k, name+"{") {
			sum += v
		}
	}
	return sum
}

// MediaIn and MediaOut are octets of media that this server pulled, and that others
// pulled from it.
func (m Metrics) MediaIn() int64 { return int64(m[`vam_media_bytes_total{direction="in"}`]) }

// MediaOut is the other direction.
func (m Metrics) MediaOut() int64 { return int64(m[`vam_media_bytes_total{direction="out"}`]) }

// Wire is every octet of HTTP that the server sent and received.
func (m Metrics) Wire() int64 {
	return int64(m["vam_wire_sent_bytes_total"] + m["vam_wire_received_bytes_total"])
}
