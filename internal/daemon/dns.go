package daemon

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/discovery"
	"github.com/videoactivmail/vam/internal/keyring"
)

// DNSRecord is one record that a domain publishes.
type DNSRecord struct {
	Domain   vam.Domain `json:"domain"`
	Name     string     `json:"name"` // absolute, without final dot
	TTL      int        `json:"ttl"`  // seconds
	Type     string     `json:"type"`
	Value    string     `json:"value"` // as in a zone file; a TXT value without quotes
	Why      string     `json:"why"`
	Optional bool       `json:"optional,omitempty"`
}

// Line is the record in the master file format (RFC 1035 section 5).
func (r DNSRecord) Line() string {
	value := r.Value
	if r.Type == "TXT" {
		value = quoteText(value)
	}
	return fmt.Sprintf("%s. %d IN %s %s", r.Name, r.TTL, r.Type, value)
}

// quoteText writes a TXT value as character-strings of at most 255 octets.
func quoteText(s string) string {
	const most = 255
	var parts []string
	for len(s) > most {
		parts = append(parts, s[:most])
		s = s[most:]
	}
	parts = append(parts, s)
	for i, p := range parts {
		parts[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(p) + `"`
	}
	return strings.Join(parts, " ")
}

const recordTTL = 3600

// DNSRecords are the records that the domains of a configuration need, read from its
// keys and certificates. Errors: NotFound for missing keys.
func DNSRecords(c config.Config) ([]DNSRecord, error) {
	var out []DNSRecord
	for _, d := range c.Domains {
		keys, err := keyring.Load(c.DataDir, d.Name)
		if err != nil {
			return nil, err
		}
		add := func(name, kind, value, why string, optional bool) {
			out = append(out, DNSRecord{d.Name, name, recordTTL, kind, value, why, optional})
		}
		for _, l := range listeners(c) {
			why := "where the domain takes video mail; without it the domain does not speak VAM"
			if l.network == "udp" {
				why = "the same over HTTP/3, for bad networks"
			}
			add(discovery.Service+"._"+l.network+"."+d.Name.String(), "SRV", fmt.Sprintf("10 1 %d %s.", l.port, d.Hostname), why, l.network == "udp")
		}
		for _, k := range keys.Records {
			add(k.Name, "TXT", k.Text, k.Use, false)
		}
		out = append(out, tlsaRecords(c, d)...)
	}
	return out, nil
}

// tlsaRecords name the certificate in use, which needs a zone that is signed. Without
// a certificate there are none: doctor says what is missing.
func tlsaRecords(c config.Config, d config.Domain) []DNSRecord {
	pair, err := tls.LoadX509KeyPair(d.TLS.Cert, d.TLS.Key)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(pair.Leaf.RawSubjectPublicKeyInfo)
	var out []DNSRecord
	for _, l := range listeners(c) {
		out = append(out, DNSRecord{
			d.Name, fmt.Sprintf("_%d._%s.%s", l.port, l.network, d.Hostname), recordTTL, "TLSA",
			"3 1 1 " + hex.EncodeToString(sum[:]), "names the certificate, for zones with DNSSEC only; changes with its key", true,
		})
	}
	return out
}

type listener struct {
	network string
	port    uint16
}

// listeners are the networks that are served, each with its first port.
func listeners(c config.Config) []listener {
	var out []listener
	for _, l := range []struct {
		network string
		list    []string
	}{{"tcp", c.Listen.TCP}, {"udp", c.Listen.UDP}} {
		if addrs := config.AddrPorts(l.list); len(addrs) > 0 {
			out = append(out, listener{l.network, addrs[0].Port()})
		}
	}
	return out
}

// Policy is the document for https://DOMAIN/.well-known/vam.
func Policy(c config.Config, d config.Domain) ([]byte, error) {
	p := activmail.Policy{
		Mode: activmail.ModeEnforce, MX: []string{d.Hostname}, MaxAge: 7 * 24 * time.Hour,
		Message: c.Limits.Message, Features: []string{activmail.FeatureLive}, Contact: "mailto:" + c.Admin,
	}
	return p.Marshal()
}
