package doctor

import (
	"context"
	"crypto/x509"
	"net/netip"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/discovery"
)

// Env is the world that is examined. A nil part leaves its findings out.
type Env struct {
	Machine    *Machine
	DataFolder *DataFolder
	Media      *Media
	// Ports says who holds a port of this machine.
	Ports PortTable
	// Prober asks what answers.
	Prober Prober
	// Resolver and Policies are those of discovery; Guard decides about addresses.
	Resolver discovery.Resolver
	Policies discovery.PolicySource
	Guard    discovery.Guard
	// Roots are the trusted authorities; nil is the system's.
	Roots *x509.CertPool
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// PortTable says which sockets hold a port, and who has them.
type PortTable interface {
	// Holders lists the sockets of a network ("tcp" or "udp") on a port. An error
	// means that this machine does not tell; its text has the command that does.
	Holders(ctx context.Context, network string, port uint16) ([]Holder, error)
}

// Holder is one socket.
type Holder struct {
	Local netip.AddrPort
	// Processes are descriptions such as `"nginx" (pid 12, user www)`; empty when
	// this user may not see them, and then User is all that is known.
	Processes []string
	User      string
}

// LocalDomain is a domain that this server serves.
type LocalDomain struct {
	Name     vam.Domain
	Hostname string // what its SRV records should point to
	// CertFile and KeyFile are PEM files.
	CertFile, KeyFile string
	// Records are the keys that the domain signs with.
	Records []KeyRecord
}

// KeyRecord is a TXT record that must be in DNS.
type KeyRecord struct {
	Name string // "v1._domainkey.a.example"
	Text string // the value, as one string
}

// Local is the server of this machine, as its configuration describes it.
type Local struct {
	TCP, UDP   []netip.AddrPort // where it listens
	Congestion string           // transport.congestion
	Domains    []LocalDomain
}

// ExamineLocal looks at this machine, its ports and every domain that it serves.
// Findings come in the order of Checks for the machine, then for each domain.
func ExamineLocal(ctx context.Context, e Env, l Local) Report {
	var out []Finding
	if e.Machine != nil {
		out = append(out, checkMachine(*e.Machine, l.Congestion)...)
	}
	if e.DataFolder != nil {
		out = append(out, checkDataFolder(*e.DataFolder)...)
	}
	if e.Media != nil {
		out = append(out, checkMedia(*e.Media)...)
	}
	name := ""
	if len(l.Domains) > 0 {
		name = l.Domains[0].Hostname
	}
	out = append(out, e.checkPorts(ctx, TCP, l.TCP, name)...)
	out = append(out, e.checkPorts(ctx, UDP, l.UDP, name)...)
	for _, d := range l.Domains {
		out = append(out, e.checkCertFile(d)...)
		out = append(out, e.checkDomain(ctx, d.Name, &l, d)...)
	}
	return newReport(out)
}

// ExamineDomain looks at a domain from outside, as another server would.
func ExamineDomain(ctx context.Context, e Env, domain vam.Domain) Report {
	return newReport(e.checkDomain(ctx, domain, nil, LocalDomain{}))
}

// ExamineHost asks one host what answers on a port, over TCP and UDP. name may be
// an IP address.
func ExamineHost(ctx context.Context, e Env, name string, port uint16) Report {
	return newReport(e.checkHost(ctx, name, port))
}

func (e Env) now() time.Time {
	if e.Now != nil {
		return e.Now()
	}
	return time.Now()
}
