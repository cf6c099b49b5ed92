package mailauth

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"

	"github.com/videoactivmail/vam"
)

// TXTResolver asks DNS for TXT records, the strings of each joined. A name that does
// not exist, or has no TXT record, is an empty list or a NotFound error; every other
// error is taken as temporary. Several goroutines ask at once.
type TXTResolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// lookupTXT asks dns and sorts the answers: records, none, or Unavailable.
func lookupTXT(ctx context.Context, dns TXTResolver, name string) ([]string, error) {
	records, err := dns.LookupTXT(ctx, name)
	var dnsErr *net.DNSError
	switch {
	case err == nil:
		return records, nil
	case errors.As(err, &dnsErr) && dnsErr.IsNotFound, vam.KindOf(err) == vam.NotFound:
		return nil, nil
	}
	return nil, vam.Wrap(vam.Unavailable, err, "DNS did not answer for %s", name)
}

// keyring fetches the keys that signatures name, for the DKIM library, and remembers
// why one could not be used: the library's own errors are text only.
type keyring struct {
	ctx  context.Context
	dns  TXTResolver
	want map[string]bool // names that may be asked for

	mu   sync.Mutex
	keys map[string]fetchedKey
}

type fetchedKey struct {
	record KeyRecord
	err    error
}

func newKeyring(ctx context.Context, dns TXTResolver, signatures []*signature) *keyring {
	k := &keyring{ctx: ctx, dns: dns, want: make(map[string]bool), keys: make(map[string]fetchedKey)}
	for _, s := range signatures {
		if s.refused == nil {
			k.want[s.keyName()] = true
		}
	}
	return k
}

// lookup is the library's LookupTXT. Only a record that may sign mail reaches the
// library.
func (k *keyring) lookup(name string) ([]string, error) {
	name = strings.ToLower(name)
	if !k.want[name] {
		return nil, vam.Errorf(vam.NotFound, "not asked for")
	}
	text, record, err := k.fetch(name)
	k.mu.Lock()
	k.keys[name] = fetchedKey{record, err}
	k.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return []string{text}, nil
}

func (k *keyring) fetch(name string) (string, KeyRecord, error) {
	records, err := lookupTXT(k.ctx, k.dns, name)
	if err != nil {
		return "", KeyRecord{}, vam.Wrap(vam.Unavailable, err, "the key %s that signed the mail could not be fetched: DNS did not answer", name).WithProblem(problemKey)
	}
	switch len(records) {
	case 0:
		return "", KeyRecord{}, vam.Errorf(vam.Unavailable, "the key that signed the mail is not in DNS: there is no TXT record at %s", name).WithProblem(problemKey)
	case 1:
	default:
		return "", KeyRecord{}, bad(nil, "there are %d TXT records at %s; exactly one key record is wanted", len(records), name)
	}
	record, err := ParseKey(records[0])
	switch {
	case err != nil:
		return "", KeyRecord{}, bad(err, "the key record at %s cannot be used: %s", name, vam.Public(err))
	case record.Public == nil:
		return "", KeyRecord{}, bad(nil, "the key %s that signed the mail was revoked by its owner", name)
	case !record.Allows(ServiceMail):
		return "", KeyRecord{}, bad(nil, "the key %s is not for mail (s=): sign with a mail key of the domain", name)
	}
	return records[0], record, nil
}

// get returns what lookup found for a name.
func (k *keyring) get(name string) (fetchedKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.keys[name]
	return key, ok
}
