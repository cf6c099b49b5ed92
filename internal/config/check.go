package config

import (
	"encoding"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/videoactivmail/vam"
)

// ranges checks every value against the min, max and oneof of its key.
func (r *reader) ranges(c *Config) {
	walk(reflect.ValueOf(c).Elem(), "", func(k Key, v reflect.Value) {
		switch {
		case len(k.oneof) > 0 && !slices.Contains(k.oneof, v.String()):
			hint := ""
			if word := suggest(v.String(), k.oneof); word != "" {
				hint = fmt.Sprintf("; did you mean %q?", word)
			}
			r.bad.add(r.source(k.Path), k.Path, "%q is not one of %s%s", clip(v.String()), strings.Join(k.oneof, ", "), hint)
		case k.min != "" && number(v) < bound(v.Type(), k.min), k.max != "" && number(v) > bound(v.Type(), k.max):
			r.bad.add(r.source(k.Path), k.Path, "%s is not in the range from %s", strings.Trim(literal(v), `"`), k.allowed())
		}
	})
}

// number is v in the unit of its type: octets, nanoseconds or one.
func number(v reflect.Value) int64 {
	if d, ok := v.Interface().(Duration); ok {
		return int64(d.Duration)
	}
	return v.Int()
}

// bound reads a min or max tag in the notation of type t.
func bound(t reflect.Type, tag string) int64 {
	v := reflect.New(t)
	if u, ok := v.Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(tag)); err != nil {
			panic("config: tag " + strconv.Quote(tag) + ": " + err.Error())
		}
		return number(v.Elem())
	}
	n, err := strconv.ParseInt(tag, 10, 64)
	if err != nil {
		panic("config: tag " + strconv.Quote(tag) + ": " + err.Error())
	}
	return n
}

// source is where a key's value was set, for a problem that is found later.
func (r *reader) source(path string) string {
	if s := r.sources[path]; s != "" {
		return s
	}
	return r.file
}

// check holds the rules that one value alone does not show.
func (r *reader) check(c *Config) {
	if len(c.Domains) == 0 && !r.bad.about("domain") {
		r.bad.add(r.file, "domain", `no domain is set; write for example domain = "a.example"`)
	}
	r.domains(c)
	r.hostname("hostname", c.Hostname)
	if c.Admin != "" {
		if _, err := vam.ParseAddress(c.Admin); err != nil {
			r.bad.add(r.source("admin"), "admin", "%s", vam.Public(err))
		}
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		r.bad.add(r.source("tls.cert"), "tls", "cert and key belong together; one of them is missing")
	}
	if len(c.Listen.TCP) == 0 {
		r.bad.add(r.source("listen.tcp"), "listen.tcp", `at least one address is needed, for example ["[::]:%s"]`, Port)
	}
	r.listeners("listen.tcp", c.Listen.TCP)
	r.listeners("listen.udp", c.Listen.UDP)
	r.listeners("web.listen", c.Web.Listen)
	if c.Web.URL != "" && !isBase(c.Web.URL) {
		r.bad.add(r.source("web.url"), "web.url", "%q is not the beginning of a link: write https:// and a host name, with a port if need be, and no path", clip(c.Web.URL))
	}
	if c.Metrics.Listen != "" {
		r.listeners("metrics.listen", []string{c.Metrics.Listen})
	}
	for _, s := range c.DNS.Servers {
		if !isResolver(s) {
			r.bad.add(r.source("dns.servers"), "dns.servers", "%q is not an IP address, or address:port", clip(s))
		}
	}
	if !isWord(c.Transport.Congestion) {
		r.bad.add(r.source("transport.congestion"), "transport.congestion", "%q is not the name of a congestion control; write auto, system, bbr or cubic", clip(c.Transport.Congestion))
	}
}

func (r *reader) domains(c *Config) {
	seen := map[vam.Domain]bool{}
	for i, d := range c.Domains {
		path := fmt.Sprintf("domains[%d]", i)
		switch {
		case d.Name == "":
			r.bad.add(r.where(path), path+".name", `this table has no name; write for example name = "b.example"`)
		case seen[d.Name]:
			r.bad.add(r.where(path), path+".name", "%s is there twice", d.Name)
		}
		seen[d.Name] = true
		if d.Hostname != c.Hostname {
			r.hostname(path+".hostname", d.Hostname)
		}
		if d.TLS != c.TLS && (d.TLS.Cert == "") != (d.TLS.Key == "") {
			r.bad.add(r.where(path+".tls"), path+".tls", "cert and key belong together; one of them is missing")
		}
	}
}

func (r *reader) hostname(path, name string) {
	if name == "" {
		return
	}
	if _, err := vam.ParseDomain(name); err != nil {
		r.bad.add(r.source(path), path, "%s", vam.Public(err))
	}
}

func (r *reader) listeners(path string, addresses []string) {
	for _, a := range addresses {
		host, port, err := net.SplitHostPort(a)
		n, portErr := strconv.ParseUint(port, 10, 16)
		_, hostErr := netip.ParseAddr(host)
		if err != nil || portErr != nil || (host != "" && hostErr != nil) {
			r.bad.add(r.source(path), path, `%q is not an address with a port: write for example "[::]:%s" or "192.0.2.1:%s"`, clip(a), Port, Port)
		} else if n == 0 {
			r.bad.add(r.source(path), path, "port 0 in %q would be another port after each start", clip(a))
		}
	}
}

func isResolver(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	_, err := netip.ParseAddrPort(s)
	return err == nil
}

// isBase reports whether s is an https URL of a host and nothing else.
func isBase(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Hostname() != "" && s == (&url.URL{Scheme: "https", Host: u.Host}).String()
}

func isWord(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 16
}

func position(file string, line, column int) string {
	return fmt.Sprintf("%s:%d:%d", file, line, column)
}
