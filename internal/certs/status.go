package certs

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/discovery"
)

// Status is the state of one pair of files.
type Status struct {
	Pair Pair
	// Names are what the certificate in use vouches for: DNS names, SRV-IDs and IP
	// addresses.
	Names     []string
	NotBefore time.Time
	NotAfter  time.Time
	// Loaded is when the certificate in use was read.
	Loaded time.Time
	// Err says why the files as they are now are not in use; nil when they are.
	Err  error
	leaf *x509.Certificate
}

// Status reports on every pair, in the order of Open.
func (s *Store) Status() []Status {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Status, 0, len(s.entries))
	for _, e := range s.entries {
		out = append(out, e.status())
	}
	return out
}

func (e *entry) status() Status {
	leaf := e.cert.Leaf
	return Status{
		Pair: e.pair, Names: discovery.CertNames(leaf),
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		Loaded: e.loaded, Err: e.err, leaf: leaf,
	}
}

// soon is how long before its end a certificate is worth a warning: two weeks, or a
// third of its life where that is shorter.
func soon(leaf *x509.Certificate) time.Duration {
	return min(14*24*time.Hour, leaf.NotAfter.Sub(leaf.NotBefore)/3)
}

// Problem says in plain words what an operator should do something about: new files
// that cannot be used, a certificate that has expired, is not valid yet or ends soon.
// Errors: that of the files, Unavailable; nil when all is well.
func (s Status) Problem(now time.Time) error {
	if s.Err != nil {
		return vam.Wrap(vam.KindOf(s.Err), s.Err, "%s; the old certificate, valid until %s, stays in use", vam.Public(s.Err), day(s.NotAfter))
	}
	if err := dates(s.Pair, s.leaf, now); err != nil {
		return err
	}
	if left := s.NotAfter.Sub(now); left < soon(s.leaf) {
		return vam.Errorf(vam.Unavailable, "%s is %s: renew it, %s are left", s.Pair.Cert, discovery.DescribeCert(s.leaf), days(left))
	}
	return nil
}

func dates(p Pair, leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.After(leaf.NotAfter):
		return vam.Errorf(vam.Unavailable, "%s is %s: it has expired, and other servers refuse it", p.Cert, discovery.DescribeCert(leaf))
	case now.Before(leaf.NotBefore):
		return vam.Errorf(vam.Unavailable, "%s is %s: it is valid from %s only; is this machine's clock right?", p.Cert, discovery.DescribeCert(leaf), day(leaf.NotBefore))
	}
	return nil
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func days(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
