package config

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/videoactivmail/vam"
)

// MaxFileBytes bounds the configuration file, in octets.
const MaxFileBytes = 1 << 20

// Options say where the configuration comes from. Later sources win: defaults,
// the file, the environment, DataDir.
type Options struct {
	// File is the configuration file; empty reads none.
	File string
	// DataDir overrides the key data_dir; empty leaves it.
	DataDir string
	// Environ has the form of os.Environ.
	Environ []string
}

// Effective is a complete configuration and where each value came from. It is
// read-only after Load and safe for concurrent reading.
type Effective struct {
	Config
	// File is the absolute path of the file that was read; empty for none.
	File string

	sources map[string]string
}

// Load reads, completes and checks a configuration. Errors: NotFound when the
// file does not exist; Unavailable when it cannot be read; *Error (Invalid) with
// every problem of its content.
func Load(o Options) (*Effective, error) {
	if o.File == "" {
		return parse("", nil, o)
	}
	path, err := filepath.Abs(o.File)
	if err != nil {
		return nil, vam.Wrap(vam.Unavailable, err, "cannot find the configuration file %s", o.File)
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, vam.Errorf(vam.NotFound, "there is no configuration file %s; --data names the folder of a server that is elsewhere, and `vam init DOMAIN` makes one", path)
	}
	if errors.Is(err, os.ErrPermission) {
		return nil, vam.Errorf(vam.Denied, "you may not read the configuration file %s", path)
	}
	if err != nil {
		return nil, vam.Wrap(vam.Unavailable, err, "cannot read the configuration file %s", path)
	}
	defer f.Close()
	doc, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	if err != nil {
		return nil, vam.Wrap(vam.Unavailable, err, "cannot read the configuration file %s", path)
	}
	return parse(path, doc, o)
}

// Parse is Load of a document that is not, or not yet, in the file of that name; it
// touches no file. Errors: *Error.
func Parse(name string, doc []byte, o Options) (*Effective, error) { return parse(name, doc, o) }

func parse(path string, doc []byte, o Options) (*Effective, error) {
	r := &reader{file: path, sources: map[string]string{}}
	for _, k := range Keys() {
		r.known = append(r.known, k.Path)
	}
	c := Default()
	if !r.document(&c, doc) {
		return nil, r.bad.err()
	}
	r.environment(&c, o.Environ)
	if o.DataDir != "" {
		c.DataDir = o.DataDir
		if abs, err := filepath.Abs(o.DataDir); err == nil {
			c.DataDir = abs
		}
		r.sources["data_dir"] = "command line"
	}
	r.ranges(&c)
	r.complete(&c, path)
	r.check(&c)
	if err := r.bad.err(); err != nil {
		return nil, err
	}
	return &Effective{Config: c, File: path, sources: r.sources}, nil
}

// document reports whether doc could be read at all; what follows would only
// repeat the complaint.
func (r *reader) document(c *Config, doc []byte) bool {
	if len(doc) > MaxFileBytes {
		r.bad.add(r.file, "", "the file is larger than %s", vam.Bytes(MaxFileBytes))
		return false
	}
	r.lines = lines(doc)
	tree := map[string]any{}
	if err := toml.Unmarshal(doc, &tree); err != nil {
		r.syntax(err)
		return false
	}
	r.table(reflect.ValueOf(c).Elem(), tree, "")
	return true
}

func (r *reader) syntax(err error) {
	where := r.file
	var de *toml.DecodeError
	if errors.As(err, &de) {
		line, column := de.Position()
		where = position(r.file, line, column)
	}
	r.bad.add(where, "", "this is not TOML: %s", strings.TrimPrefix(err.Error(), "toml: "))
}

// complete fills in the defaults that depend on other keys and makes paths
// absolute.
func (r *reader) complete(c *Config, file string) {
	if c.Domain != "" && !names(c.Domains, c.Domain) {
		c.Domains = append([]Domain{{Name: c.Domain}}, c.Domains...)
	}
	if c.Domain == "" && len(c.Domains) > 0 {
		c.Domain = c.Domains[0].Name
	}
	if c.Hostname == "" && c.Domain != "" {
		c.Hostname = "vam." + c.Domain.String()
	}
	if c.Admin == "" && c.Domain != "" {
		c.Admin = "postmaster@" + c.Domain.String()
	}
	if c.Web.URL == "" && c.Hostname != "" {
		c.Web.URL = "https://" + c.Hostname + webPort(c)
	}
	base := filepath.Dir(file)
	if file == "" {
		base = ""
	}
	if c.DataDir == "" {
		c.DataDir = base
		if base == "" || base == "/etc" || strings.HasPrefix(base, "/etc/") {
			c.DataDir = "/var/lib/vam"
		}
	}
	c.DataDir = under(base, c.DataDir)
	if c.TLS == (TLS{}) {
		c.TLS = TLS{Cert: filepath.Join(c.DataDir, "tls", "cert.pem"), Key: filepath.Join(c.DataDir, "tls", "key.pem")}
	}
	c.TLS.Cert, c.TLS.Key = under(base, c.TLS.Cert), under(base, c.TLS.Key)
	for i := range c.Domains {
		d := &c.Domains[i]
		if d.Hostname == "" {
			d.Hostname = c.Hostname
		}
		if d.TLS == (TLS{}) {
			d.TLS = c.TLS
		}
		d.TLS.Cert, d.TLS.Key = under(base, d.TLS.Cert), under(base, d.TLS.Key)
	}
}

// webPort is the port that links name, with its colon; "" is that of HTTPS.
func webPort(c *Config) string {
	for _, list := range [][]string{c.Web.Listen, c.Listen.TCP} {
		if addrs := AddrPorts(list); len(addrs) > 0 {
			if port := addrs[0].Port(); port != 443 {
				return ":" + strconv.Itoa(int(port))
			}
			return ""
		}
	}
	return ""
}

func names(list []Domain, name vam.Domain) bool {
	for _, d := range list {
		if d.Name == name {
			return true
		}
	}
	return false
}

func under(base, path string) string {
	if path == "" || base == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(base, path)
}
