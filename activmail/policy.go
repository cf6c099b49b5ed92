package activmail

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
)

// PolicyMode says what a sender does when a domain's VAM servers fail (AM-2.9).
type PolicyMode string

// The modes.
const (
	ModeTesting PolicyMode = "testing" // fall back to SMTP and report
	ModeEnforce PolicyMode = "enforce" // wait until deliver-by
)

// The roles of a policy.
const (
	RoleIn  = "in"  // takes offers
	RoleOut = "out" // makes offers
)

// The features of VAM/1 (AM-15.5).
const (
	FeatureLive    = "live"     // messages without a seal are taken; assumed of a domain without policy
	FeatureMailRef = "mail-ref" // letters by reference are taken
)

// Bounds of a policy's life (AM-2.13).
const (
	MinPolicyAge = time.Minute
	MaxPolicyAge = 31_557_600 * time.Second
)

// Policy is the document at /.well-known/vam of a domain (AM-2.13).
type Policy struct {
	Mode   PolicyMode
	MX     []string // names of servers that may answer for the domain, lower case
	MaxAge time.Duration
	// Limits of the domain in octets; 0 is the default (AM-2.14).
	Offer    vam.Bytes
	Blob     vam.Bytes
	Message  vam.Bytes
	Roles    []string // nil is both
	Features []string
	Contact  string // mailto: or https:
	Report   string
}

// ParsePolicy reads a policy document. Unknown roles and features are kept. Errors:
// Invalid (malformed, version), TooLarge.
func ParsePolicy(b []byte, limits Limits) (Policy, error) {
	most := int(limits.Document) // the length of the document is the limit
	d, err := openDocument(b, limits.Document, "policy")
	if err != nil {
		return Policy{}, err
	}
	if err := d.version("version"); err != nil {
		return Policy{}, err
	}
	d.require("mode", "mx", "max_age")
	p := Policy{
		Mode:     PolicyMode(take(d, "mode", decodeText)),
		MX:       list(d, "mx", most, parsed(parseServerName)),
		MaxAge:   time.Duration(min(take(d, "max_age", decodeInteger), int64(MaxPolicyAge/time.Second)+1)) * time.Second,
		Offer:    take(d, "offer_max", decodeBytes),
		Blob:     take(d, "blob_max", decodeBytes),
		Message:  take(d, "size_max", decodeBytes),
		Roles:    list(d, "roles", most, decodeWord),
		Features: list(d, "features", most, decodeWord),
		Contact:  take(d, "contact", decodeText),
		Report:   take(d, "report", decodeText),
	}
	if d.err == nil {
		d.err = p.validate()
	}
	if d.err != nil {
		return Policy{}, d.err
	}
	return p, nil
}

func parseServerName(s string) (string, error) {
	d, err := parseDomain(s)
	return string(d), err
}

func (p Policy) validate() error {
	switch {
	case p.Mode != ModeTesting && p.Mode != ModeEnforce:
		return malformed("the policy's mode is %s; testing or enforce is wanted", quoteShort([]byte(p.Mode)))
	case p.MaxAge < MinPolicyAge || p.MaxAge > MaxPolicyAge:
		return malformed("the policy's max_age is not from 60 to 31557600 seconds")
	case !isContact(p.Contact) || !isContact(p.Report):
		return malformed("the policy's contact or report is not a mailto: or https: URI")
	}
	return nil
}

func isContact(s string) bool {
	if s == "" {
		return true
	}
	u, err := url.Parse(s)
	return err == nil && len(s) <= 500 && (u.Scheme == "mailto" && u.Opaque != "" || u.Scheme == "https" && u.Host != "")
}

// Marshal writes the document. Errors: Invalid.
func (p Policy) Marshal() ([]byte, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	var w objectWriter
	w.integer("version", 1)
	w.text("mode", string(p.Mode))
	w.texts("mx", p.MX)
	w.integer("max_age", int64(p.MaxAge/time.Second))
	for _, limit := range []struct {
		name  string
		value vam.Bytes
	}{{"offer_max", p.Offer}, {"blob_max", p.Blob}, {"size_max", p.Message}} {
		if limit.value > 0 {
			w.integer(limit.name, int64(limit.value))
		}
	}
	if p.Roles != nil {
		w.texts("roles", p.Roles)
	}
	if len(p.Features) > 0 {
		w.texts("features", p.Features)
	}
	w.optional("contact", p.Contact)
	w.optional("report", p.Report)
	body := w.end()
	if _, err := ParsePolicy(body, DefaultLimits()); err != nil {
		return nil, err
	}
	return body, nil
}

// Lists reports whether the policy names the server as one of its own. Names are
// compared without case and without a final dot.
func (p Policy) Lists(server string) bool {
	return slices.Contains(p.MX, strings.ToLower(strings.TrimSuffix(server, ".")))
}

// Takes reports whether the domain has the role; without a list it has both.
func (p Policy) Takes(role string) bool { return p.Roles == nil || slices.Contains(p.Roles, role) }

// PolicyRecord is the TXT record at _vam.{domain}: that there is a policy, and which
// edition of it (AM-2.10). Its mode is a hint for people: only a fetched policy counts
// (AM-2.12).
type PolicyRecord struct {
	ID   string
	Mode PolicyMode // "" is not said
}

// ParsePolicyRecord reads "v=VAM1; id=20261122; mode=enforce". Errors: Invalid.
func ParsePolicyRecord(txt string) (PolicyRecord, error) {
	tags, err := parseTags(txt, "policy record", maxTagList)
	if err != nil {
		return PolicyRecord{}, err
	}
	if len(tags) == 0 || tags[0] != (tag{"v", "VAM1"}) {
		return PolicyRecord{}, malformed("the policy record does not begin with v=VAM1")
	}
	id, _ := lookup(tags, "id")
	mode, _ := lookup(tags, "mode")
	r := PolicyRecord{ID: id, Mode: PolicyMode(mode)}
	if len(id) > 32 || strings.Trim(id, alphanumeric) != "" {
		return PolicyRecord{}, malformed("the id of the policy record is not of 1 to 32 letters and digits")
	}
	if mode != "" && r.Mode != ModeTesting && r.Mode != ModeEnforce {
		return PolicyRecord{}, malformed("the mode of the policy record is %s; testing or enforce is wanted", quoteShort([]byte(mode)))
	}
	return r, nil
}

// String writes the record.
func (r PolicyRecord) String() string {
	out := "v=VAM1"
	if r.ID != "" {
		out += "; id=" + r.ID
	}
	if r.Mode != "" {
		out += "; mode=" + string(r.Mode)
	}
	return out
}

// Accepts says why the domain of the policy does not take a message: one that is not sealed
// yet where it takes no recordings under way (AM-15.4), or one that is larger than its
// limit (AM-2.14). size 0 is not known. A nil policy takes everything. Errors: Denied
// (policy), TooLarge.
func (p *Policy) Accepts(d vam.Domain, sealed bool, size vam.Bytes) error {
	switch {
	case p == nil:
		return nil
	case !sealed && !slices.Contains(p.Features, FeatureLive):
		return vam.Errorf(vam.Denied, "%s takes no messages that are still being recorded (its policy says so); send the finished recording", d).WithProblem("policy")
	case p.Message > 0 && size > p.Message:
		return vam.Errorf(vam.TooLarge, "the message has %s and %s takes at most %s (its policy says so); send a shorter or smaller one", size, d, p.Message).WithProblem("too-large")
	}
	return nil
}
