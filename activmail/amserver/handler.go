package amserver

import (
	"context"
	"net/netip"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// BasePath is what every resource of VAM/1 starts with (AM-7.1).
const BasePath = "/vam/v1"

// HandlerOptions say who answers.
type HandlerOptions struct {
	// Inbound and Outbound answer; a nil one answers 404.
	Inbound  Inbound
	Outbound Outbound
	// Keys finds request keys, usually in DNS. It is asked only after the name of the
	// key was found to belong to the domain that must have signed and after Admit.
	Keys activmail.KeyLookup
	// Admit, if not nil, may refuse a request before anything is spent on it, usually
	// with Busy and a RetryAfter. It is asked before the body of a signed request is
	// read, and once more, with the key's domain, before Keys.
	Admit func(ctx context.Context, a Admission) error
	// Authority, if not nil, says whether a host name, lower case and without port, is
	// one of this server's own: another one is answered 421. A signature covers the
	// authority, so this ends replays to another server.
	Authority func(host string) bool
	// Limits bound what a peer may send; zero is activmail.DefaultLimits.
	Limits activmail.Limits
	// Failed, if not nil, is told of every error that was answered, for logs and
	// metrics. It must not block.
	Failed func(ctx context.Context, f Failure)
	// Now is the clock of signature checks; nil is time.Now.
	Now func() time.Time
}

// Admission is a request that wants to be admitted.
type Admission struct {
	// Operation is a short fixed name: "put-offer", "offer-state", "poke", "head",
	// "log", "entry", "media", "blob", "proof", "receipt", "token".
	Operation string
	Remote    netip.AddrPort
	// Domain claims to have signed; it is not verified yet, and "" before the body is
	// read.
	Domain vam.Domain
}

// Failure is an error that was answered.
type Failure struct {
	Operation string
	Remote    netip.AddrPort
	Status    int
	Err       error
}
