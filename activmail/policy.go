package activmail

import (
	"time"

	"github.com/videoactivmail/vam"
)

// PolicyMode says what a sender does when a domain's VAM servers fail.
type PolicyMode string

// The modes (AM-2.9).
const (
	ModeTesting PolicyMode = "testing" // fall back to SMTP and report
	ModeEnforce PolicyMode = "enforce" // wait until deliver-by
)

// Policy is the document at /.well-known/vam of a domain.
type Policy struct {
	Mode     PolicyMode
	MX       []string      // server names that may answer for the domain
	MaxAge   time.Duration // whole seconds
	Offer    vam.Bytes     // longest offer; 0 is the default
	Blob     vam.Bytes
	Message  vam.Bytes
	Roles    []string
	Features []string
	Contact  string // mailto: or https:
	Report   string
}

// ParsePolicy reads a policy document. Errors: Invalid, TooLarge.
func ParsePolicy(b []byte, limits Limits) (Policy, error) {
	return Policy{}, vam.Errorf(vam.Internal, "not written yet")
}

// Marshal writes the document. Errors: Invalid.
func (p Policy) Marshal() ([]byte, error) { return nil, nil }

// Lists reports whether the policy names the server name as one of its own.
func (p Policy) Lists(server string) bool { return false }
