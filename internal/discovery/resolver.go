package discovery

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/videoactivmail/vam"
)

// Answer is what DNS said about one name and type.
type Answer[T any] struct {
	// Records is never empty.
	Records []T
	// TTL is the smallest time to live on the way to the records, aliases included.
	TTL time.Duration
	// Authenticated says that the records were validated by DNSSEC (the AD bit,
	// RFC 6840 section 5.8), by a resolver that has reason to be believed.
	Authenticated bool
}

// SRV is a service record (RFC 2782).
type SRV struct {
	// Target is a host name without final dot; "." is "there is no such service".
	Target   string
	Port     uint16
	Priority uint16
	Weight   uint16
}

// TLSA is a certificate association (RFC 6698 section 2.1).
type TLSA struct {
	Usage        uint8
	Selector     uint8
	MatchingType uint8
	Data         []byte
}

// Resolver asks DNS. Names are absolute, without final dot. Every method returns
// *[NotFoundError] when DNS says that there is no such record; every other error,
// classified or not, is taken as temporary. Methods are safe for concurrent use.
type Resolver interface {
	LookupSRV(ctx context.Context, name string) (Answer[SRV], error)
	// LookupTXT joins the character-strings of each record without a gap (RFC 7208
	// section 3.3, RFC 6376 section 3.6.2.2).
	LookupTXT(ctx context.Context, name string) (Answer[string], error)
	LookupTLSA(ctx context.Context, name string) (Answer[TLSA], error)
	// LookupAddrs returns the A and AAAA records of host together. It is
	// authenticated only when both answers are.
	LookupAddrs(ctx context.Context, host string) (Answer[netip.Addr], error)
}

// NotFoundError says that DNS has no record of a type at a name: the name does not
// exist or has other types only. It unwraps to a *vam.Error of kind NotFound.
type NotFoundError struct {
	Name string
	Type string // "SRV", "TXT", "TLSA", "A/AAAA"
	// TTL is how long the absence may be remembered (RFC 2308 section 5); 0 when the
	// answer did not say.
	TTL time.Duration
	// Authenticated says that the absence itself was validated by DNSSEC.
	Authenticated bool
}

// Error names the record.
func (e *NotFoundError) Error() string { return "DNS has no " + e.Type + " record at " + e.Name }

// Unwrap makes vam.KindOf say NotFound.
func (e *NotFoundError) Unwrap() error { return vam.Errorf(vam.NotFound, "%s", e.Error()) }

// notFound returns the NotFoundError in err's chain, nil when there is none.
func notFound(err error) *NotFoundError {
	var e *NotFoundError
	if errors.As(err, &e) {
		return e
	}
	return nil
}
