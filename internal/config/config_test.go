package config_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/golden"
)

// load writes text to a file and reads it back as a configuration.
func load(t *testing.T, text string, environ ...string) (*config.Effective, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), config.FileName)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(config.Options{File: file, Environ: environ})
}

func TestDomainIsTheOnlyRequiredKey(t *testing.T) {
	e, err := load(t, `domain = "a.example"`)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(e.File)
	want := config.Default()
	want.Domain, want.Hostname, want.DataDir, want.Admin = "a.example", "vam.a.example", dir, "postmaster@a.example"
	want.TLS = config.TLS{Cert: filepath.Join(dir, "tls/cert.pem"), Key: filepath.Join(dir, "tls/key.pem")}
	want.Domains = []config.Domain{{Name: "a.example", Hostname: "vam.a.example", TLS: want.TLS}}
	want.Web.URL = "https://vam.a.example:1398"
	if diff := cmp.Diff(want, e.Config, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Error(diff)
	}
}

func TestEveryKindOfValue(t *testing.T) {
	e, err := load(t, `
hostname = "mx.a.example"
data_dir = "data"
[listen]
tcp = ["127.0.0.1:1398"]
udp = []
[network]
allow_private = ["127.0.0.0/8", "fd00::/8"]
[limits]
message = "500MB"
quota = 1_048_576
live = "4h30m"
peers.offers = "30/m burst 3"
[contacts]
hold_first = false
[[domains]]
name = "Bücher.example"
tls.cert = "b.pem"
tls.key = "/keys/b.pem"
[[domains]]
name = "b.example"
hostname = "mx2.b.example"
`)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(e.File)
	got := map[string]string{}
	for _, s := range e.Settings() {
		got[s.Key] = s.Value
	}
	for key, want := range map[string]string{
		"domain":                `"xn--bcher-kva.example"`,
		"data_dir":              `"` + dir + `/data"`,
		"listen.udp":            `[]`,
		"network.allow_private": `["127.0.0.0/8", "fd00::/8"]`,
		"limits.message":        `"500000000"`,
		"limits.quota":          `"1MiB"`,
		"limits.live":           `"4h30m"`,
		"limits.peers.offers":   `"30/m burst 3"`,
		"contacts.hold_first":   `false`,
		"domains[0].tls.cert":   `"` + dir + `/b.pem"`,
		"domains[0].tls.key":    `"/keys/b.pem"`,
		"domains[1].hostname":   `"mx2.b.example"`,
		"domains[1].tls.cert":   `"` + dir + `/data/tls/cert.pem"`,
	} {
		if got[key] != want {
			t.Errorf("%s = %s, want %s", key, got[key], want)
		}
	}
}

func TestProblemsNameThePlaceAndTheWayOut(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{"unknown key", "domain = \"a.example\"\n[limits]\nmesage = 3", []string{"FILE:3: limits.mesage: there is no such key; did you mean limits.message?"}},
		{"unknown table", "domain = \"a.example\"\n[limit]\nmessage = 3", []string{"FILE:2: limit: there is no such key; did you mean limits?"}},
		{"key of a table at the top", "domain = \"a.example\"\nlevel = \"info\"", []string{"FILE:2: level: there is no such key; did you mean log.level?"}},
		{"nothing like it", "domain = \"a.example\"\nfrobnicate = 1", []string{"FILE:2: frobnicate: there is no such key; `vam config reference` lists them all"}},
		{"unknown key in the second domain", "[[domains]]\nname = \"a.example\"\n[[domains]]\nname = \"b.example\"\nhostnam = \"x\"", []string{"FILE:5: domains[1].hostnam: there is no such key; did you mean domains[].hostname?"}},
		{"unknown key of an inline table", "domain = \"a.example\"\ntls = {\n crt = \"x\" }", []string{"FILE:3: tls.crt: there is no such key; did you mean tls.cert?"}},
		{"syntax", "domain = a.example", []string{"FILE:1:10: this is not TOML: "}},
		{"twice", "domain = \"a.example\"\ndomain = \"b.example\"", []string{"FILE:2:1: this is not TOML: "}},
		{"wrong type", "domain = \"a.example\"\n[contacts]\nhold_first = \"yes\"", []string{`FILE:3: contacts.hold_first: true or false is wanted here, not "yes"`}},
		{"table for a value", "domain = \"a.example\"\n[hostname]\nx = 1", []string{"FILE:2: hostname: text is wanted here, not a table"}},
		{"value for a table", "domain = \"a.example\"\nlimits = 3", []string{"FILE:2: limits: this is a table: write [limits] and its keys below it"}},
		{"one table for a list of tables", "[domains]\nname = \"a.example\"", []string{"FILE:1: domains: write [[domains]]"}},
		{"number for a span", "domain = \"a.example\"\ncontacts.hold = 14", []string{`FILE:2: contacts.hold: "14" is not a time span: write for example 30s, 4h or 14d`}},
		{"bad size", "domain = \"a.example\"\nlimits.message = \"big\"", []string{`FILE:2: limits.message: "big" is not a size`}},
		{"bad rate", "domain = \"a.example\"\nlimits.peers.offers = \"20\"", []string{`FILE:2: limits.peers.offers: "20" is not a rate: write for example 20/h`}},
		{"bad network", "domain = \"a.example\"\nnetwork.allow_private = [\"10.0.0.0\"]", []string{`FILE:2: network.allow_private: "10.0.0.0" is not a network`}},
		{"out of range", "domain = \"a.example\"\ntransport.connections = 9", []string{"FILE:2: transport.connections: 9 is not in the range from 1 to 8"}},
		{"negative size", "domain = \"a.example\"\nlimits.quota = -1", []string{`FILE:2: limits.quota: "-1" is not a size`}},
		{"not one of the words", "domain = \"a.example\"\ntransport.prefer = \"udb\"", []string{`FILE:2: transport.prefer: "udb" is not one of auto, tcp, udp; did you mean "udp"?`}},
		{"no domain", "", []string{`FILE: domain: no domain is set; write for example domain = "a.example"`}},
		{"address for a domain", "domain = \"192.0.2.1\"", []string{`FILE:1: domain: "192.0.2.1" is an IP address, not a domain`}},
		{"domain without a name", "[[domains]]\nhostname = \"x.example\"", []string{"FILE:1: domains[0].name: this table has no name"}},
		{"domain twice", "[[domains]]\nname = \"a.example\"\n[[domains]]\nname = \"a.example\"", []string{"FILE:3: domains[1].name: a.example is there twice"}},
		{"half a certificate", "domain = \"a.example\"\ntls.cert = \"x\"", []string{"FILE:2: tls: cert and key belong together"}},
		{"listener without a port", "domain = \"a.example\"\nlisten.tcp = [\"localhost\"]", []string{`FILE:2: listen.tcp: "localhost" is not an address with a port`}},
		{"nothing to listen on", "domain = \"a.example\"\nlisten.tcp = []", []string{"FILE:2: listen.tcp: at least one address is needed"}},
		{"resolver by name", "domain = \"a.example\"\ndns.servers = [\"dns.example\"]", []string{`FILE:2: dns.servers: "dns.example" is not an IP address`}},
		{"congestion", "domain = \"a.example\"\ntransport.congestion = \"b b\"", []string{"FILE:2: transport.congestion: "}},
		{"two problems in one reading", "domain = \"a.example\"\nx = 1\n[log]\nlevel = \"loud\"", []string{"FILE:2: x: ", "FILE:4: log.level: "}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load(t, tc.text)
			var ce *config.Error
			if !errors.As(err, &ce) || vam.KindOf(err) != vam.Invalid {
				t.Fatalf("got %v", err)
			}
			if len(ce.Problems) != len(tc.want) {
				t.Errorf("%d problems, want %d:\n%v", len(ce.Problems), len(tc.want), err)
			}
			text := strings.ReplaceAll(err.Error(), filepath.Dir(firstPath(err.Error()))+"/"+config.FileName, "FILE")
			for _, w := range tc.want {
				if !strings.Contains(text, w) {
					t.Errorf("got  %s\nwant %s", text, w)
				}
			}
		})
	}
}

func firstPath(text string) string {
	path, _, _ := strings.Cut(text, ":")
	return path
}

func TestEnvironmentOverridesTheFile(t *testing.T) {
	e, err := load(t, "domain = \"a.example\"\n[log]\nlevel = \"warn\"\nformat = \"json\"",
		"VAM_LOG_LEVEL=debug", "VAM_LISTEN_TCP=127.0.0.1:1398, [::1]:1398", "VAM_LISTEN_UDP=", "VAM_CONTACTS_HOLD_FIRST=false",
		"VAM_DELIVERY_PARALLEL=3", "VAM_LIMITS_PEERS_OFFERS=5/m", "VAM_CONFIG=/elsewhere", "VAM_JSON=1", "PATH=/bin", "VAM_TOKEN=vd_secret")
	if err != nil {
		t.Fatal(err)
	}
	if e.Log.Level != "debug" || e.Log.Format != "json" || len(e.Listen.TCP) != 2 || len(e.Listen.UDP) != 0 ||
		e.Contacts.HoldFirst || e.Delivery.Parallel != 3 || e.Limits.Peers.Offers != (config.Rate{Events: 5, Per: time.Minute, Burst: 5}) {
		t.Errorf("%+v", e.Config)
	}
	for key, want := range map[string]string{
		"log.level": "environment variable VAM_LOG_LEVEL", "log.format": e.File + ":4", "dns.timeout": "default",
	} {
		if got := e.Source(key); got != want {
			t.Errorf("source of %s is %q, want %q", key, got, want)
		}
	}
	_, err = load(t, `domain = "a.example"`, "VAM_LOG_LEVLE=debug", "VAM_CONTACTS_HOLD=soon")
	for _, want := range []string{
		"environment variable VAM_LOG_LEVLE: there is no such setting; did you mean VAM_LOG_LEVEL?",
		`environment variable VAM_CONTACTS_HOLD: contacts.hold: "soon" is not a time span`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestLinksBegin: what links begin with follows from where browsers are answered.
func TestLinksBegin(t *testing.T) {
	for doc, want := range map[string]string{
		"":                                "https://vam.a.example:1398",
		"listen.tcp = [\"[::1]:2000\"]":   "https://vam.a.example:2000",
		"web.listen = [\":443\"]":         "https://vam.a.example",
		"web.listen = [\"[::]:8443\"]":    "https://vam.a.example:8443",
		"web.url = \"https://v.example\"": "https://v.example",
		"hostname = \"mx.a.example\"":     "https://mx.a.example:1398",
	} {
		e, err := load(t, "domain = \"a.example\"\n"+doc)
		if err != nil || e.Web.URL != want {
			t.Errorf("%s: links begin with %q, want %q (%v)", doc, e.Web.URL, want, err)
		}
	}
	for _, bad := range []string{"http://v.example", "v.example", "https://v.example/x", "https://", "https://v.example?x", "https://u@v.example", "javascript:x"} {
		if _, err := load(t, "domain = \"a.example\"\nweb.url = \""+bad+"\""); err == nil || !strings.Contains(err.Error(), "web.url") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestEnvironmentAloneIsEnough(t *testing.T) {
	e, err := config.Load(config.Options{Environ: []string{"VAM_DOMAIN=a.example"}, DataDir: "/srv/vam"})
	if err != nil || e.DataDir != "/srv/vam" || e.TLS.Key != "/srv/vam/tls/key.pem" || e.Source("data_dir") != "command line" {
		t.Fatalf("%+v, %v", e, err)
	}
}

// TestVariablesOfTheProgram: those that are no settings are left alone, however alike they
// look, and a slip in one of them is found too.
func TestVariablesOfTheProgram(t *testing.T) {
	if _, err := load(t, `domain = "a.example"`, "VAM_CONFIG=x", "VAM_PROFILE=x", "VAM_SERVER=x", "VAM_TOKEN=x", "VAM_CA_FILE=x", "VAM_CI=1", "VAM_SOAK=1"); err != nil {
		t.Error(err)
	}
	for slip, want := range map[string]string{"VAM_TOKNE": "VAM_TOKEN", "VAM_SERVERS": "VAM_SERVER", "VAM_PROFIL": "VAM_PROFILE", "VAM_DOMAN": "VAM_DOMAIN"} {
		if _, err := load(t, `domain = "a.example"`, slip+"=x"); err == nil || !strings.Contains(err.Error(), "did you mean "+want+"?") {
			t.Errorf("%s: %v", slip, err)
		}
	}
}

// TestParse: a document is judged as the file of that name would be, and no file is looked
// for.
func TestParse(t *testing.T) {
	e, err := config.Parse("/nowhere/vam.toml", []byte("domain = \"a.example\"\ntls = {cert = \"c.pem\", key = \"k.pem\"}"), config.Options{})
	if err != nil || e.DataDir != "/nowhere" || e.TLS.Cert != "/nowhere/c.pem" || e.File != "/nowhere/vam.toml" {
		t.Errorf("%+v, %v", e, err)
	}
	_, err = config.Parse("/nowhere/vam.toml", []byte("domian = \"a.example\""), config.Options{})
	if err == nil || !strings.Contains(err.Error(), "/nowhere/vam.toml:1: domian: ") || !strings.Contains(err.Error(), "did you mean domain?") {
		t.Errorf("got %v", err)
	}
}

func TestFileThatIsNotThere(t *testing.T) {
	_, err := config.Load(config.Options{File: filepath.Join(t.TempDir(), "no.toml")})
	if vam.KindOf(err) != vam.NotFound || !strings.Contains(vam.Public(err), "vam init DOMAIN") {
		t.Fatalf("got %v", err)
	}
	_, err = config.Load(config.Options{File: t.TempDir()})
	if vam.KindOf(err) != vam.Unavailable {
		t.Fatalf("a folder: got %v", err)
	}
	_, err = load(t, strings.Repeat("#", config.MaxFileBytes+1))
	if err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Fatalf("a large file: got %v", err)
	}
}

func TestPrintedConfigurationReadsBack(t *testing.T) {
	e, err := load(t, "domain = \"a.example\"\nadmin = \"ops@a.example\"\n[[domains]]\nname = \"b.example\"\ntls = {cert = \"c\", key = \"k\"}\n[log]\nlevel = \"warn\"")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := e.WriteTOML(&out); err != nil {
		t.Fatal(err)
	}
	again, err := load(t, out.String())
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if diff := cmp.Diff(e.Config, again.Config, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Errorf("%s\n%s", diff, out.String())
	}
	if !strings.Contains(out.String(), "# "+e.File+":2\n") || !strings.Contains(out.String(), "# default\n") {
		t.Errorf("no sources:\n%s", out.String())
	}
}

func TestReferenceIsUpToDate(t *testing.T) {
	var got bytes.Buffer
	if err := config.WriteReference(&got); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "../../docs/configuration.md", got.String())
}

func TestEveryKeyIsDescribed(t *testing.T) {
	seen := map[string]string{}
	for _, k := range config.Keys() {
		if k.Doc == "" || !strings.HasSuffix(strings.TrimSpace(k.Doc), ".") {
			t.Errorf("%s: doc %q is no sentence", k.Path, k.Doc)
		}
		if k.Env != "" {
			if other := seen[k.Env]; other != "" {
				t.Errorf("%s and %s share %s", other, k.Path, k.Env)
			}
			seen[k.Env] = k.Path
		}
	}
}

func TestPlace(t *testing.T) {
	env := map[string]string{"HOME": "/home/u"}
	get := func(k string) string { return env[k] }
	for _, tc := range []struct {
		name  string
		place config.Place
		env   map[string]string
		want  string
	}{
		{"flag", config.Place{File: "x.toml", DataDir: "/d"}, nil, "x.toml"},
		{"variable", config.Place{DataDir: "/d"}, map[string]string{"VAM_CONFIG": "/y.toml"}, "/y.toml"},
		{"data flag", config.Place{DataDir: "/d"}, map[string]string{"VAM_DATA_DIR": "/e"}, "/d/vam.toml"},
		{"data variable", config.Place{}, map[string]string{"VAM_DATA_DIR": "/e"}, "/e/vam.toml"},
	} {
		env = tc.env
		tc.place.Getenv = get
		if got := tc.place.Path(); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
	env = map[string]string{"HOME": "/home/u"}
	if got := (config.Place{Getenv: get, UID: 1000}).DefaultDataDir(); got != "/home/u/.local/share/vam" {
		t.Error(got)
	}
	if got := (config.Place{Getenv: func(string) string { return "" }, UID: 1000}).DefaultDataDir(); got != "/var/lib/vam" {
		t.Errorf("without a home: %s", got)
	}
	if got := (config.Place{Getenv: get}).DefaultDataDir(); got != "/var/lib/vam" {
		t.Error(got)
	}
}
