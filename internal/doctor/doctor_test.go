package doctor_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/discovery"
	"github.com/videoactivmail/vam/internal/doctor"
	"github.com/videoactivmail/vam/internal/golden"
)

func ptr[T any](v T) *T { return &v }

// healthy is a.example served by this machine with nothing wrong. Tests break one
// thing each.
type healthy struct {
	ca    authority
	zone  *zone
	net   network
	ports ports
	env   doctor.Env
	local doctor.Local
}

func newHealthy(t *testing.T) *healthy {
	ca := newAuthority(t)
	cert := ca.issue(t, noon.AddDate(0, 2, 0), "a.example", "vam.a.example")
	certFile, keyFile := writePair(t, cert, 0o600)
	records := []discovery.SRV{{Target: "vam.a.example", Port: 1398, Priority: 10, Weight: 1}}
	h := &healthy{
		ca: ca,
		zone: &zone{
			srv:    map[string][]discovery.SRV{"_video-activmail._tcp.a.example": records, "_video-activmail._udp.a.example": records},
			txt:    map[string][]string{"v1._domainkey.a.example": {"v=DKIM1; k=ed25519; s=vam; p=AAAA"}, "_vam.a.example": {"v=VAM1; id=1; mode=enforce"}},
			addrs:  map[string][]netip.Addr{"vam.a.example": {netip.MustParseAddr("8.8.8.8")}},
			broken: map[string]bool{},
		},
		net: network{
			"tcp [::1]:1398": speaks(cert), "udp [::1]:1398": speaks(cert),
			"tcp 8.8.8.8:1398": speaks(cert), "udp 8.8.8.8:1398": speaks(cert),
		},
		ports: ports{
			"tcp": {{Local: netip.MustParseAddrPort("[::]:1398"), Processes: []string{`"vam" (pid 7, user vam)`}, User: "vam"}},
			"udp": {{Local: netip.MustParseAddrPort("[::]:1398"), Processes: []string{`"vam" (pid 7, user vam)`}, User: "vam"}},
		},
		local: doctor.Local{
			TCP: []netip.AddrPort{netip.MustParseAddrPort("[::]:1398")}, UDP: []netip.AddrPort{netip.MustParseAddrPort("[::]:1398")}, Congestion: "auto",
			Domains: []doctor.LocalDomain{{
				Name: "a.example", Hostname: "vam.a.example", CertFile: certFile, KeyFile: keyFile,
				Records: []doctor.KeyRecord{{Name: "v1._domainkey.a.example", Text: "v=DKIM1;k=ed25519;p=AAAA;s=vam;"}},
			}},
		},
	}
	h.env = doctor.Env{
		Machine: &doctor.Machine{
			Synchronised: ptr(true), Files: 1 << 20, UDPReceive: 8 * vam.MiB, UDPSend: 8 * vam.MiB,
			Congestion: []string{"cubic", "bbr"}, Allowed: []string{"cubic", "bbr"},
		},
		DataFolder: &doctor.DataFolder{Path: "/srv/vam", Free: ptr(10 * vam.GiB), Reserve: vam.GiB},
		Media:      &doctor.Media{FFmpeg: "ffmpeg 5.1", Layers: []doctor.Layer{{Name: "landlock", Active: true}}, Confined: true},
		Ports:      h.ports, Prober: h.net, Resolver: h.zone, Roots: ca.pool(), Now: func() time.Time { return noon },
		Policies: policies{policy: activmail.Policy{Mode: activmail.ModeEnforce, MaxAge: time.Hour, MX: []string{"other.example"}}},
	}
	return h
}

func TestNothingWrong(t *testing.T) {
	h := newHealthy(t)
	r := doctor.ExamineLocal(t.Context(), h.env, h.local)
	seen := map[string]bool{}
	for _, f := range r.Findings {
		seen[f.ID] = true
		if f.Level != doctor.OK || f.Found == "" || f.Fix != "" {
			t.Errorf("%+v", f)
		}
	}
	for _, c := range doctor.Checks() {
		if !seen[c.ID] && c.ID != "answer.clock" {
			t.Errorf("no finding %s", c.ID)
		}
	}
	if r.Status != doctor.OK || r.ExitStatus() != 0 || r.Count(doctor.OK) != len(r.Findings) {
		t.Errorf("status %s, exit %d", r.Status, r.ExitStatus())
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	const tcp, udp = "_video-activmail._tcp.a.example", "_video-activmail._udp.a.example"
	for _, tc := range []struct {
		name  string
		spoil func(h *healthy)
		id    string
		level doctor.Level
		found string
		fix   string
	}{
		{"clock not synchronised", func(h *healthy) { h.env.Machine.Synchronised = ptr(false) }, "machine.clock", doctor.Warn, "not synchronised", "chrony"},
		{"clock far off", func(h *healthy) { h.env.Machine.ClockError = time.Minute }, "machine.clock", doctor.Warn, "may be off by 1m0s", "chronyc"},
		{"few files", func(h *healthy) { h.env.Machine.Files = 1024 }, "machine.files", doctor.Warn, "1024", "LimitNOFILE=65536"},
		{"small buffers", func(h *healthy) { h.env.Machine.UDPReceive = 212992 }, "machine.udp", doctor.Warn, "208 KiB and 8 MiB", "net.core.rmem_max=7340032"},
		{"no bbr", func(h *healthy) { h.env.Machine.Congestion = []string{"cubic"} }, "machine.congestion", doctor.Warn, "available: cubic", "modprobe tcp_bbr"},
		{"bbr not allowed", func(h *healthy) { h.env.Machine.Allowed = []string{"reno", "cubic"} }, "machine.congestion", doctor.Warn, "allowed to everybody: reno, cubic", `tcp_allowed_congestion_control="reno cubic bbr"`},
		{"no data folder", func(h *healthy) { h.env.DataFolder.Err = os.ErrNotExist }, "data.folder", doctor.Fail, "not exist", "install -d -m 0700"},
		{"open data folder", func(h *healthy) { h.env.DataFolder.Open = true }, "data.folder", doctor.Warn, "other users may read", "chmod 0700"},
		{"disk nearly full", func(h *healthy) { *h.env.DataFolder.Free = 3 * vam.GiB / 2 }, "data.space", doctor.Warn, "1.5 GiB free", "make room"},
		{"disk full", func(h *healthy) { *h.env.DataFolder.Free = vam.MiB }, "data.space", doctor.Fail, "1 MiB free", "make room"},
		{"port held by another", func(h *healthy) {
			h.ports["tcp"][0].Processes = []string{`"nginx" (pid 12, user www)`}
			h.net["tcp [::1]:1398"] = doctor.Answer{Found: "an HTTP server without TLS"}
		}, "port.tcp", doctor.Fail, `"nginx" (pid 12, user www) on [::]:1398`, "stop that process"},
		{"what that other says", func(h *healthy) { h.net["tcp [::1]:1398"] = doctor.Answer{Found: "an SSH server"} }, "answer.tcp", doctor.Fail, "an SSH server", "vam doctor"},
		{"holder that cannot be seen", func(h *healthy) {
			h.ports["udp"][0].Processes = nil
			delete(h.net, "udp [::1]:1398")
		}, "port.udp", doctor.Fail, "a process of user vam", "sudo vam doctor"},
		{"nobody on the port", func(h *healthy) {
			delete(h.ports, "tcp")
			delete(h.net, "tcp [::1]:1398")
		}, "port.tcp", doctor.Fail, "nobody holds it", "vam serve"},
		{"nobody answers", func(h *healthy) { delete(h.net, "tcp [::1]:1398") }, "answer.tcp", doctor.Fail, "no connection", "vam serve"},
		{"cannot tell who", func(h *healthy) {
			h.env.Ports = ports(nil)
			delete(h.net, "tcp [::1]:1398")
		}, "port.tcp", doctor.Warn, "`lsof` can", ""},
		{"no certificate file", func(h *healthy) { h.local.Domains[0].CertFile = "/nowhere/cert.pem" }, "cert.file", doctor.Fail, "no such file", "certbot"},
		{"no SRV record", func(h *healthy) { delete(h.zone.srv, tcp) }, "dns.srv.tcp", doctor.Fail, "does not speak VAM", tcp + ". 3600 IN SRV 10 1 1398 vam.a.example."},
		{"no SRV record for UDP", func(h *healthy) { delete(h.zone.srv, udp) }, "dns.srv.udp", doctor.Warn, "TCP only", udp + ". 3600 IN SRV 10 1 1398 vam.a.example."},
		{"DNS is down", func(h *healthy) { h.zone.broken[tcp] = true }, "dns.srv.tcp", doctor.Fail, "SERVFAIL", "dig SRV"},
		{"SRV says no", func(h *healthy) { h.zone.srv[tcp] = []discovery.SRV{{Target: "."}} }, "dns.srv.tcp", doctor.Fail, "no such service", "add to the zone"},
		{"SRV points elsewhere", func(h *healthy) { h.zone.srv[tcp][0].Port = 1399 }, "dns.srv.tcp", doctor.Fail, "vam.a.example port 1399", "let the record point to this server"},
		{"UDP names another port", func(h *healthy) { h.zone.srv[udp] = []discovery.SRV{{Target: "vam.a.example", Port: 1400}} }, "dns.srv.udp", doctor.Fail, "port 1400", "same servers and ports"},
		{"target without address", func(h *healthy) { delete(h.zone.addrs, "vam.a.example") }, "dns.target", doctor.Fail, "vam.a.example", "publish the addresses"},
		{"private address", func(h *healthy) { h.zone.addrs["vam.a.example"] = []netip.Addr{netip.MustParseAddr("10.0.0.1")} }, "dns.target", doctor.Fail, "10.0.0.1", "network.allow_private"},
		{"one private address", func(h *healthy) {
			h.zone.addrs["vam.a.example"] = append(h.zone.addrs["vam.a.example"], netip.MustParseAddr("fe80::1"))
		}, "dns.target", doctor.Warn, "fe80::1", "remove the address"},
		{"key not published", func(h *healthy) { delete(h.zone.txt, "v1._domainkey.a.example") }, "dns.key", doctor.Fail, "no such record", `v1._domainkey.a.example. 3600 IN TXT "v=DKIM1;`},
		{"another key", func(h *healthy) { h.zone.txt["v1._domainkey.a.example"][0] += "B" }, "dns.key", doctor.Fail, "AAAAB", "replace the record"},
		{"two keys", func(h *healthy) {
			h.zone.txt["v1._domainkey.a.example"] = []string{"v=DKIM1; p=", "v=DKIM1; k=ed25519; s=vam; p=AAAA"}
		}, "dns.key", doctor.Fail, "2 TXT records", "leave only"},
		{"DNS is down for the key", func(h *healthy) { h.zone.broken["v1._domainkey.a.example"] = true }, "dns.key", doctor.Fail, "SERVFAIL", "dig TXT"},
		{"policy document missing", func(h *healthy) { h.env.Policies = policies{err: errors.New("404")} }, "dns.policy", doctor.Warn, "the document is not: 404", "/.well-known/vam"},
		{"two policies", func(h *healthy) { h.zone.txt["_vam.a.example"] = []string{"v=VAM1; id=1", "v=VAM1; id=2"} }, "dns.policy", doctor.Warn, "2 policy records", "leave one"},
		{"firewall for UDP", func(h *healthy) { delete(h.net, "udp 8.8.8.8:1398") }, "reach.udp", doctor.Warn, "no connection", "firewall"},
		{"firewall for TCP", func(h *healthy) { delete(h.net, "tcp 8.8.8.8:1398") }, "reach.tcp", doctor.Fail, "no connection", "firewall"},
		{"certificate for another name", func(h *healthy) {
			h.net["tcp 8.8.8.8:1398"] = speaks(h.ca.issue(t, noon.AddDate(0, 2, 0), "vam.a.example"))
		}, "reach.tcp", doctor.Fail, "vam.a.example", "get a certificate for a.example itself"},
		{"certificate ends soon", func(h *healthy) {
			h.net["tcp 8.8.8.8:1398"] = speaks(h.ca.issue(t, noon.AddDate(0, 0, 3), "a.example"))
		}, "cert.expiry", doctor.Warn, "2026-11-26", "renew"},
		{"clocks apart", func(h *healthy) {
			a := h.net["tcp 8.8.8.8:1398"]
			a.Date = noon.Add(-2 * time.Minute)
			h.net["tcp 8.8.8.8:1398"] = a
		}, "answer.clock", doctor.Fail, "2m0s apart", "time server"},
		{"clocks a little apart", func(h *healthy) {
			a := h.net["tcp 8.8.8.8:1398"]
			a.Date = noon.Add(20 * time.Second)
			h.net["tcp 8.8.8.8:1398"] = a
		}, "answer.clock", doctor.Warn, "20s apart", "time server"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHealthy(t)
			tc.spoil(h)
			r := doctor.ExamineLocal(t.Context(), h.env, h.local)
			i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.ID == tc.id && f.Level == tc.level })
			if i < 0 {
				t.Fatalf("no finding %s %s in %+v", tc.level, tc.id, r.Findings)
			}
			f := r.Findings[i]
			if !strings.Contains(f.Found, tc.found) || !strings.Contains(f.Fix, tc.fix) || f.Expected == "" {
				t.Errorf("found %q\nfix %q", f.Found, f.Fix)
			}
			want := map[doctor.Level]int{doctor.Warn: 1, doctor.Fail: 2}
			if r.ExitStatus() < want[tc.level] {
				t.Errorf("exit status %d", r.ExitStatus())
			}
		})
	}
}

func TestCertificateFiles(t *testing.T) {
	for _, tc := range []struct {
		name  string
		end   time.Time
		names []string
		mode  os.FileMode
		level doctor.Level
		found string
	}{
		{"for the domain", noon.AddDate(0, 2, 0), []string{"a.example"}, 0o600, doctor.OK, "a.example"},
		{"for the host", noon.AddDate(0, 2, 0), []string{"*.a.example"}, 0o600, doctor.OK, "*.a.example"},
		{"for somebody else", noon.AddDate(0, 2, 0), []string{"b.example"}, 0o600, doctor.Fail, "b.example"},
		{"expired", noon.AddDate(0, 0, -1), []string{"a.example"}, 0o600, doctor.Fail, "not valid now"},
		{"expires soon", noon.AddDate(0, 0, 13), []string{"a.example"}, 0o600, doctor.Warn, "a.example"},
		{"open key", noon.AddDate(0, 2, 0), []string{"a.example"}, 0o644, doctor.Warn, "can be read by other users"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHealthy(t)
			d := &h.local.Domains[0]
			d.CertFile, d.KeyFile = writePair(t, h.ca.issue(t, tc.end, tc.names...), tc.mode)
			for _, f := range doctor.ExamineLocal(t.Context(), h.env, h.local).Findings {
				if f.ID == "cert.file" && (f.Level != tc.level || !strings.Contains(f.Found, tc.found)) {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

func TestForeignDomain(t *testing.T) {
	h := newHealthy(t)
	r := doctor.ExamineDomain(t.Context(), h.env, "a.example")
	if r.Status != doctor.OK || len(r.Findings) < 6 {
		t.Errorf("%+v", r)
	}
	r = doctor.ExamineDomain(t.Context(), h.env, "b.example")
	if r.Status != doctor.Fail || !strings.Contains(r.Findings[0].Found, "b.example does not speak VAM") || !strings.Contains(r.Findings[0].Fix, "SRV 10 1 1398 HOST.") {
		t.Errorf("%+v", r)
	}
}

func TestHost(t *testing.T) {
	h := newHealthy(t)
	ids := func(r doctor.Report) string {
		var out []string
		for _, f := range r.Findings {
			out = append(out, fmt.Sprintf("%s %s", f.Level, f.ID))
		}
		return strings.Join(out, ", ")
	}
	want := "ok answer.tcp, ok answer.clock, ok cert.expiry, ok answer.udp"
	for _, name := range []string{"vam.a.example", "8.8.8.8"} {
		if got := ids(doctor.ExamineHost(t.Context(), h.env, name, 1398)); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	delete(h.net, "udp 8.8.8.8:1398")
	h.net["tcp 8.8.8.8:1398"] = doctor.Answer{Found: "an SSH server"}
	if got := ids(doctor.ExamineHost(t.Context(), h.env, "8.8.8.8", 1398)); got != "fail answer.tcp, warn answer.udp" {
		t.Error(got)
	}
	if got := ids(doctor.ExamineHost(t.Context(), h.env, "nowhere.example", 1398)); got != "fail dns.target" {
		t.Error(got)
	}
}

func TestZoneTextOfALongKey(t *testing.T) {
	h := newHealthy(t)
	h.local.Domains[0].Records[0].Text = "v=DKIM1; k=rsa; p=" + strings.Repeat("A", 400)
	for _, f := range doctor.ExamineLocal(t.Context(), h.env, h.local).Findings {
		if f.ID == "dns.key" && strings.Count(f.Fix, `"`) != 4 {
			t.Errorf("a string of more than 255 octets: %s", f.Fix)
		}
	}
}

func TestThisMachine(t *testing.T) {
	m := doctor.ReadMachine()
	dir := t.TempDir()
	d := doctor.ReadDataFolder(dir, vam.MiB)
	if d.Err != nil {
		t.Fatal(d.Err)
	}
	if missing := doctor.ReadDataFolder(dir+"/no", vam.MiB); missing.Err == nil {
		t.Error("a folder that is not there is fine")
	}
	file := dir + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if f := doctor.ReadDataFolder(file, vam.MiB); f.Err == nil {
		t.Error("a file is taken for a folder")
	}
	r := doctor.ExamineLocal(t.Context(), doctor.Env{Machine: &m, DataFolder: &d}, doctor.Local{Congestion: "auto"})
	if len(r.Findings) == 0 {
		t.Error("nothing is known of this machine")
	}
}

func TestDoctorReferenceIsUpToDate(t *testing.T) {
	var got bytes.Buffer
	if err := doctor.WriteReference(&got); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "../../docs/doctor.md", got.String())
}
