package doctor_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/discovery"
	"github.com/videoactivmail/vam/internal/doctor"
)

const (
	tcpSRV = "_video-activmail._tcp.a.example"
	udpSRV = "_video-activmail._udp.a.example"
)

// TestLessCommonTroubles: what the long table of the common ones does not reach.
func TestLessCommonTroubles(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, h *healthy)
		id    string
		level doctor.Level
		found string
		fix   string
	}{
		{"one of two servers has no address", func(_ *testing.T, h *healthy) {
			h.zone.srv[tcpSRV] = append(slices.Clone(h.zone.srv[tcpSRV]), discovery.SRV{Target: "old.a.example", Port: 1398, Priority: 20})
		}, "reach.tcp", doctor.Warn, "old.a.example has no address", "remove this target"},
		{"only UDP leads to a server", func(_ *testing.T, h *healthy) {
			h.zone.srv[tcpSRV] = []discovery.SRV{{Target: "old.a.example", Port: 1398}}
		}, "reach.tcp", doctor.Fail, "none", "mend what the findings above name"},
		{"no server at all", func(_ *testing.T, h *healthy) { delete(h.zone.addrs, "vam.a.example") }, "reach.tcp", doctor.Fail, "none of its servers can be used", "mend what"},
		{"many servers", func(_ *testing.T, h *healthy) {
			for i := range 20 {
				h.zone.srv[tcpSRV] = append(h.zone.srv[tcpSRV][:1+i:1+i], discovery.SRV{Target: fmt.Sprintf("vam%d.a.example", i), Port: 1398})
			}
		}, "dns.srv.tcp", doctor.OK, "vam6.a.example port 1398, …", ""},
		{"DNS is down for the policy", func(_ *testing.T, h *healthy) { h.zone.broken["_vam.a.example"] = true }, "dns.policy", doctor.Warn, "no answer from DNS: SERVFAIL", "name servers"},
		{"no policy among other records", func(_ *testing.T, h *healthy) { h.zone.txt["_vam.a.example"] = []string{"hello"} }, "dns.policy", doctor.OK, "none", ""},
		{"no policy", func(_ *testing.T, h *healthy) { delete(h.zone.txt, "_vam.a.example") }, "dns.policy", doctor.OK, "none", ""},
		{"a policy record that cannot be read", func(_ *testing.T, h *healthy) { h.zone.txt["_vam.a.example"] = []string{"v=VAM1; id=a b"} }, "dns.policy", doctor.Warn, "letters and digits", "v=VAM1; id=1"},
		{"the policy names the server and its certificate does not", func(t *testing.T, h *healthy) {
			h.env.Policies = policies{policy: activmail.Policy{Mode: activmail.ModeEnforce, MaxAge: time.Hour, MX: []string{"vam.a.example"}}}
			h.net["tcp 8.8.8.8:1398"] = speaks(h.ca.issue(t, noon.AddDate(0, 2, 0), "a.example"))
		}, "reach.tcp", doctor.Fail, "a.example", "let the certificate of vam.a.example match"},
		{"a certificate of nobody's authority", func(t *testing.T, h *healthy) {
			h.net["tcp 8.8.8.8:1398"] = speaks(newAuthority(t).issue(t, noon.AddDate(0, 2, 0), "a.example"))
		}, "reach.tcp", doctor.Fail, "a.example", "get a certificate for a.example itself"},
		{"a proof that fails over UDP", func(t *testing.T, h *healthy) {
			h.net["udp 8.8.8.8:1398"] = speaks(h.ca.issue(t, noon.AddDate(0, 2, 0), "b.example"))
		}, "reach.udp", doctor.Fail, "b.example", "get a certificate"},
		{"in a container", func(_ *testing.T, h *healthy) { delete(h.ports, "tcp") }, "port.tcp", doctor.OK, "another network namespace or container", ""},
		{"cannot tell, and VAM answers", func(_ *testing.T, h *healthy) { h.env.Ports = ports(nil) }, "port.udp", doctor.OK, "VAM answers there", ""},
		{"shared by two processes", func(_ *testing.T, h *healthy) {
			h.ports["tcp"] = []doctor.Holder{
				{Local: netip.MustParseAddrPort("127.0.0.1:1398"), Processes: []string{"one", "two"}},
				{Local: netip.MustParseAddrPort("[::1]:1398"), User: "root"},
			}
			delete(h.net, "tcp [::1]:1398")
		}, "port.tcp", doctor.Fail, "one and two on 127.0.0.1:1398; a process of user root on [::1]:1398", "sudo vam doctor"},
		{"a word of congestion control of one's own", func(_ *testing.T, h *healthy) { h.local.Congestion = "dctcp" }, "machine.congestion", doctor.Warn, "cubic, bbr", "modprobe tcp_dctcp"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHealthy(t)
			tc.spoil(t, h)
			r := doctor.ExamineLocal(t.Context(), h.env, h.local)
			if !slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool {
				return f.ID == tc.id && f.Level == tc.level && strings.Contains(f.Found, tc.found) && strings.Contains(f.Fix, tc.fix) && (f.Fix == "") == (tc.fix == "")
			}) {
				t.Errorf("no finding %s %s with %q in %+v", tc.level, tc.id, tc.found, r.Findings)
			}
		})
	}
}

// TestListenersAreAskedWhereTheyAnswer: a wildcard at the loopback address of its
// family, and every port has one holder's finding.
func TestListenersAreAskedWhereTheyAnswer(t *testing.T) {
	h := newHealthy(t)
	answer := h.net["tcp [::1]:1398"]
	h.env.Prober = network{"tcp 127.0.0.1:1398": answer, "tcp 192.0.2.7:1398": answer, "tcp 127.0.0.1:1399": answer}
	h.local.TCP = []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:1398"), netip.MustParseAddrPort("192.0.2.7:1398"), netip.MustParseAddrPort("0.0.0.0:1399")}
	h.local.UDP, h.local.Domains = nil, nil
	var got []string
	for _, f := range doctor.ExamineLocal(t.Context(), h.env, h.local).Findings {
		if strings.HasPrefix(f.ID, "port.") || strings.HasPrefix(f.ID, "answer.") {
			got = append(got, fmt.Sprintf("%s %s %s", f.Level, f.ID, f.Subject))
		}
	}
	want := []string{
		"ok port.tcp 1398/tcp", "ok answer.tcp 127.0.0.1:1398/tcp", "ok answer.tcp 192.0.2.7:1398/tcp",
		"ok port.tcp 1399/tcp", "ok answer.tcp 127.0.0.1:1399/tcp",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestHostFromOutside: silence has another remedy than a stranger, and a certificate
// is looked at whatever speaks behind it.
func TestHostFromOutside(t *testing.T) {
	h := newHealthy(t)
	look := func(id string) doctor.Finding {
		t.Helper()
		r := doctor.ExamineHost(t.Context(), h.env, "8.8.8.8", 1398)
		i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.ID == id })
		if i < 0 {
			t.Fatalf("no finding %s in %+v", id, r.Findings)
		}
		return r.Findings[i]
	}
	old := h.ca.issue(t, noon.AddDate(0, 0, -1), "a.example")
	h.net["tcp 8.8.8.8:1398"] = speaks(old)
	if f := look("cert.expiry"); f.Level != doctor.Fail || !strings.Contains(f.Found, "expired: valid until 2026-11-22") {
		t.Errorf("%+v", f)
	}
	web := speaks(h.ca.issue(t, noon.AddDate(0, 0, 5), "a.example"))
	web.Speaks, web.Found = false, "an HTTP server that is not VAM"
	h.net["tcp 8.8.8.8:1398"] = web
	if f := look("answer.tcp"); f.Level != doctor.Fail || f.Found != web.Found || !strings.Contains(f.Fix, "which process holds the port") {
		t.Errorf("%+v", f)
	}
	if f := look("cert.expiry"); f.Level != doctor.Warn {
		t.Errorf("%+v", f)
	}
	delete(h.net, "tcp 8.8.8.8:1398")
	delete(h.net, "udp 8.8.8.8:1398")
	if f := look("answer.tcp"); f.Level != doctor.Fail || !strings.Contains(f.Fix, "firewall") {
		t.Errorf("%+v", f)
	}
	if f := look("answer.udp"); f.Level != doctor.Warn || !strings.Contains(f.Fix, "everything goes over TCP") {
		t.Errorf("%+v", f)
	}
}

// TestPartsThatAreNotThere bring no findings.
func TestPartsThatAreNotThere(t *testing.T) {
	h := newHealthy(t)
	if r := doctor.ExamineLocal(t.Context(), doctor.Env{DataFolder: &doctor.DataFolder{}}, doctor.Local{Domains: []doctor.LocalDomain{{Name: "a.example"}}}); len(r.Findings) != 0 || r.Status != doctor.OK {
		t.Errorf("%+v", r)
	}
	for name, env := range map[string]doctor.Env{"no prober": {Resolver: h.zone}, "no resolver": {Prober: h.net}} {
		if r := doctor.ExamineHost(t.Context(), env, "a.example", 1398); len(r.Findings) != 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for _, f := range doctor.ExamineDomain(t.Context(), doctor.Env{Resolver: h.zone}, "a.example").Findings {
		if !strings.HasPrefix(f.ID, "dns.") {
			t.Errorf("%+v", f)
		}
	}
}

// TestCertificateForTheServiceAlone: an SRV-ID, or the host with DNSSEC, will do.
func TestCertificateForTheServiceAlone(t *testing.T) {
	h := newHealthy(t)
	d := &h.local.Domains[0]
	for _, tc := range []struct {
		cert  func() tls.Certificate
		level doctor.Level
	}{
		{func() tls.Certificate { return h.ca.issueSRV(t, noon.AddDate(0, 2, 0), "a.example") }, doctor.OK},
		{func() tls.Certificate { return h.ca.issueSRV(t, noon.AddDate(0, 2, 0), "b.example") }, doctor.Fail},
		{func() tls.Certificate { return h.ca.issue(t, noon.AddDate(0, 2, 0), "vam.a.example") }, doctor.OK},
	} {
		d.CertFile, d.KeyFile = writePair(t, tc.cert(), 0o600)
		for _, f := range doctor.ExamineLocal(t.Context(), h.env, h.local).Findings {
			if f.ID == "cert.file" && f.Level != tc.level {
				t.Errorf("%+v", f)
			}
		}
	}
}

// TestEveryCheckCanBeBad: each check of the reference has a finding that is not ok
// somewhere in these tests.
func TestEveryCheckCanBeBad(t *testing.T) {
	h := newHealthy(t)
	m := h.env.Machine
	*m.Synchronised, m.Files, m.UDPReceive, m.Congestion = false, 10, 1, []string{"reno"}
	h.env.DataFolder.Open, *h.env.DataFolder.Free = true, 0
	h.local.Domains[0].CertFile = "/nowhere"
	h.local.Domains[0].Records[0].Text = "v=DKIM1; p=other"
	h.env.Ports = ports{}
	delete(h.net, "tcp [::1]:1398")
	delete(h.net, "udp [::1]:1398")
	delete(h.net, "udp 8.8.8.8:1398")
	h.zone.srv[tcpSRV] = []discovery.SRV{{Target: "vam.a.example", Port: 1398}, {Target: "none.a.example", Port: 1}}
	h.zone.srv[udpSRV] = append(slices.Clone(h.zone.srv[tcpSRV]), discovery.SRV{Target: "vam.a.example", Port: 7})
	h.zone.txt["_vam.a.example"] = []string{"v=VAM1; id=1", "v=VAM1; id=2"}
	late := speaks(h.ca.issue(t, noon.AddDate(0, 0, 2), "a.example"))
	late.Date = noon.Add(-time.Hour)
	h.net["tcp 8.8.8.8:1398"] = late
	h.local.TCP = append(h.local.TCP, netip.MustParseAddrPort("8.8.8.8:1398"))
	bad := make(map[string]bool)
	h.env.Media = &doctor.Media{}
	for _, r := range []doctor.Report{
		doctor.ExamineLocal(t.Context(), doctor.Env{Media: &doctor.Media{Err: errors.New("none")}}, doctor.Local{}),
		doctor.ExamineLocal(t.Context(), h.env, h.local),
		doctor.ExamineDomain(t.Context(), h.env, "b.example"),
	} {
		for _, f := range r.Findings {
			if f.Level != doctor.OK {
				bad[f.ID] = true
			}
		}
	}
	for _, c := range doctor.Checks() {
		if !bad[c.ID] {
			t.Errorf("%s is never wrong", c.ID)
		}
	}
}
