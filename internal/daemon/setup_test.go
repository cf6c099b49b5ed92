package daemon_test

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/daemon"
	"github.com/videoactivmail/vam/internal/keyring"
)

// files are the names and contents below a folder, the database left out.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), daemon.Database) {
			return err
		}
		b, err := os.ReadFile(path)
		out[path] = string(b)
		return err
	}))
	return out
}

func TestSetupIsIdempotent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.setupOptions("a.test", "alice")
	o.Authority = nil
	first, err := daemon.Setup(t.Context(), o)
	must(t, err)
	if first.Kept || !first.OwnCertificate || first.Token == "" || len(first.Records) == 0 || first.File != filepath.Join(o.DataDir, config.FileName) {
		t.Errorf("the first time: %+v", first)
	}
	before := files(t, o.DataDir)

	o.Token = first.Token
	second, err := daemon.Setup(t.Context(), o)
	must(t, err)
	if diff := cmp.Diff(before, files(t, o.DataDir)); diff != "" {
		t.Errorf("the second time changed files: %s", diff)
	}
	if !second.Kept || !second.OwnCertificate || second.Token != first.Token {
		t.Errorf("the second time: %+v", second)
	}
	if diff := cmp.Diff(first.Records, second.Records); diff != "" {
		t.Errorf("the records changed: %s", diff)
	}

	// A token that is none is not kept, and one more account is not made.
	o.Token = "vd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	third, err := daemon.Setup(t.Context(), o)
	must(t, err)
	if third.Token == o.Token || third.Token == first.Token {
		t.Error("a token that nobody made was kept")
	}

	o.Domain, o.Account.Domain = "b.test", "b.test"
	_, err = daemon.Setup(t.Context(), o)
	wantKind(t, err, vam.Conflict, "a.test", "b.test", "[[domains]]")
	if diff := cmp.Diff(before, files(t, o.DataDir)); diff != "" {
		t.Errorf("another domain changed files: %s", diff)
	}
}

// TestSetupMakesNothingOfMistakes: what cannot be a configuration is not written.
func TestSetupMakesNothingOfMistakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, change := range map[string]func(*daemon.SetupOptions){
		"listener": func(o *daemon.SetupOptions) { o.TCP = []string{"nonsense"} },
		"hostname": func(o *daemon.SetupOptions) { o.Hostname = "a b" },
		"network":  func(o *daemon.SetupOptions) { o.AllowPrivate = []string{"10/8\n"} },
	} {
		t.Run(name, func(t *testing.T) {
			o := w.setupOptions("a.test", "alice")
			change(&o)
			_, err := daemon.Setup(t.Context(), o)
			var conf *config.Error
			if !errors.As(err, &conf) {
				t.Fatalf("the error is %v", err)
			}
			if _, err := os.Stat(o.DataDir); !errors.Is(err, os.ErrNotExist) {
				t.Error("the folder was made")
			}
		})
	}
}

func TestSetupInTheWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.setupOptions("a.test", "alice")
	_, err := daemon.Setup(t.Context(), o)
	must(t, err)
	must(t, os.Remove(filepath.Join(o.DataDir, "tls", "key.pem")))
	_, err = daemon.Setup(t.Context(), o)
	wantKind(t, err, vam.Conflict, "key.pem", "belong together")

	o = w.setupOptions("a.test", "alice")
	must(t, os.WriteFile(o.DataDir, nil, 0o600))
	_, err = daemon.Setup(t.Context(), o)
	wantKind(t, err, vam.Unavailable, o.DataDir)
}

// TestSeveralDomains: a configuration with several gets keys, names in the certificate and
// records for all of them.
func TestSeveralDomains(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.setupOptions("a.test", "alice")
	must(t, os.MkdirAll(o.DataDir, 0o700))
	must(t, os.WriteFile(filepath.Join(o.DataDir, config.FileName), []byte("domain = \"a.test\"\n[[domains]]\nname = \"b.test\"\nhostname = \"mail.b.test\"\n"), 0o600))
	r, err := daemon.Setup(t.Context(), o)
	must(t, err)
	if !r.Kept {
		t.Error("the file was not there?")
	}
	names := map[string]bool{}
	for _, d := range r.Records {
		names[d.Name] = true
	}
	for _, want := range []string{
		"_video-activmail._tcp.a.test", "_video-activmail._udp.b.test", "v1._domainkey.a.test", "m1._domainkey.b.test",
		"_1398._tcp.vam.a.test", "_1398._udp.mail.b.test",
	} {
		if !names[want] {
			t.Errorf("there is no record %s in %v", want, names)
		}
	}
	for _, d := range []vam.Domain{"a.test", "b.test"} {
		_, err := keyring.Load(o.DataDir, d)
		must(t, err)
	}
}

// TestRecordsParse: every record is what its type wants, in the master file form of
// others.
func TestRecordsParse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, err := daemon.Setup(t.Context(), w.setupOptions("a.test", "alice"))
	must(t, err)
	kinds := map[string]int{}
	for _, d := range r.Records {
		rr, err := dns.NewRR(d.Line())
		if err != nil {
			t.Errorf("%s: %v", d.Line(), err)
			continue
		}
		if h := rr.Header(); h.Name != d.Name+"." || dns.TypeToString[h.Rrtype] != d.Type || int(h.Ttl) != d.TTL {
			t.Errorf("%s is read as %s", d.Line(), rr)
		}
		if txt, ok := rr.(*dns.TXT); ok && strings.Join(txt.Txt, "") != d.Value {
			t.Errorf("%s is read as %q", d.Line(), txt.Txt)
		}
		if d.Why == "" || d.Domain != "a.test" {
			t.Errorf("%+v", d)
		}
		kinds[d.Type]++
	}
	if diff := cmp.Diff(map[string]int{"SRV": 2, "TXT": 2, "TLSA": 2}, kinds); diff != "" {
		t.Error(diff)
	}
	long := daemon.DNSRecord{Name: "a.test", TTL: 60, Type: "TXT", Value: strings.Repeat(`a"\`, 200)}
	rr, err := dns.NewRR(long.Line())
	must(t, err)
	got := strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(strings.Join(rr.(*dns.TXT).Txt, ""))
	if got != long.Value && strings.Join(rr.(*dns.TXT).Txt, "") != long.Value {
		t.Errorf("a long text is read as %q", got)
	}
}

// TestRecordsMakeTheDomainFound: exactly what Setup prints, in a zone that is signed, lets
// a server that trusts no authority at all find another one and prove who it is; without
// the signature it does not.
func TestRecordsMakeTheDomainFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nobody := func(n *node) { n.options.Roots = x509.NewCertPool() }
	a := w.node("a.test", "alice", nobody).start()
	b := w.node("b.test", "bob").start()
	b.knows(a)
	data := content(100_000)
	id := a.send(data, b)
	m := a.settles(id, vam.Waiting)
	if !strings.Contains(m.Recipients[0].Text, "b.test") {
		t.Errorf("the reason is %q", m.Recipients[0].Text)
	}
	for _, d := range []string{"a.test", "b.test"} {
		zone, err := w.dns.Zone(d)
		must(t, err)
		zone.SetAuthenticated(true)
	}
	b.options.Roots = x509.NewCertPool()
	b.end()
	b.start()
	a.end() // what it remembers of b.test is for its lifetime
	a.start()
	a.settles(id, vam.Stored)
	b.has("a.test", id, data)
}
