package certs

import (
	"crypto/tls"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/discovery"
)

// Pair names the two PEM files of one certificate: the certificate with its chain,
// and the private key.
type Pair struct {
	Cert string
	Key  string
}

// Store holds the certificates of a server. Safe for concurrent use.
type Store struct {
	now func() time.Time

	mu      sync.RWMutex
	entries []*entry // in the order of Open; never empty
}

// entry is one pair with the last certificate that was good. Guarded by Store.mu.
type entry struct {
	pair   Pair
	cert   *tls.Certificate
	loaded time.Time
	stamp  stamp // of the files that cert was read from

	err      error // why the files as they are now cannot be used; nil when they are in use
	bad      stamp // of the files that gave err
	reported bool  // err was told
}

// Open loads pairs. The first one is shown to clients that ask for no name, or for
// one that no certificate has. now is the clock; nil is time.Now. Errors: Invalid
// when there is no pair or a file is no certificate or key, NotFound for a missing
// file; all that is wrong is joined. A certificate that has expired is loaded: it is
// reported, and the server can be repaired while it runs.
func Open(pairs []Pair, now func() time.Time) (*Store, error) {
	if len(pairs) == 0 {
		return nil, vam.Errorf(vam.Invalid, "there is no certificate: set tls.cert and tls.key")
	}
	if now == nil {
		now = time.Now
	}
	s := &Store{now: now}
	var errs []error
	for _, p := range pairs {
		e := &entry{pair: p, stamp: stampOf(p), loaded: now()}
		var err error
		e.cert, err = load(p)
		errs = append(errs, err)
		s.entries = append(s.entries, e)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// GetCertificate has the shape of the field in tls.Config. It never refuses a name:
// the client's own check says more than a failed handshake (AM-2.26).
func (s *Store) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	// The name is matched here, where SRV-IDs are known; what is left to the library
	// is whether the client can use the kind of key.
	anyName := *hello
	anyName.ServerName = ""
	now := s.now()
	var best *tls.Certificate
	bestScore := -1
	for _, e := range s.entries {
		score := 0
		if vouches(e.cert, hello.ServerName) {
			score += 4
		}
		if anyName.SupportsCertificate(e.cert) == nil {
			score += 2
		}
		if !now.Before(e.cert.Leaf.NotBefore) && !now.After(e.cert.Leaf.NotAfter) {
			score++
		}
		if score > bestScore {
			best, bestScore = e.cert, score
		}
	}
	return best, nil
}

// vouches reports whether a certificate is for name, as DNS name or as the domain of
// an SRV-ID.
func vouches(c *tls.Certificate, name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "" {
		return false
	}
	return c.Leaf.VerifyHostname(name) == nil ||
		slices.Contains(discovery.SRVIDs(c.Leaf), discovery.SRVID(vam.Domain(name)))
}

// Covers returns nil when a certificate is there for name: a domain itself, its
// SRV-ID, or a host. Errors: NotFound with a sentence that says which certificates
// there are and until when they are valid; Unavailable when the one for name is
// outside of its dates.
func (s *Store) Covers(name string) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var have []string
	var late error
	for _, e := range s.entries {
		if !vouches(e.cert, name) {
			have = append(have, e.pair.Cert+" is "+discovery.DescribeCert(e.cert.Leaf))
			continue
		}
		if late = dates(e.pair, e.cert.Leaf, s.now()); late == nil {
			return nil
		}
	}
	if late != nil {
		return late
	}
	return vam.Errorf(vam.NotFound, "there is no certificate for %s: %s", name, strings.Join(have, "; "))
}

const maxFile = 1 << 20

func load(p Pair) (*tls.Certificate, error) {
	certPEM, err := readFile(p.Cert)
	if err != nil {
		return nil, err
	}
	keyPEM, err := readFile(p.Key)
	if err != nil {
		return nil, err
	}
	c, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, vam.Wrap(vam.Invalid, err, "the certificate in %s and the key in %s cannot be used together", p.Cert, p.Key)
	}
	return &c, nil
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, vam.Wrap(vam.NotFound, err, "the file %s is not there", name)
	case err != nil:
		return nil, vam.Wrap(vam.Unavailable, err, "the file %s cannot be read", name)
	case !info.Mode().IsRegular() || info.Size() > maxFile:
		return nil, vam.Errorf(vam.Invalid, "%s is no PEM file of at most %s", name, vam.Bytes(maxFile))
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, vam.Wrap(vam.Unavailable, err, "the file %s cannot be read", name)
	}
	return b, nil
}
