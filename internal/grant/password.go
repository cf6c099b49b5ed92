package grant

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash"
	"net/netip"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/admission"
)

const (
	maxPassword = 256 // octets
	hashers     = 2   // at the same time: each takes the memory below
)

// The parameters of Argon2id (RFC 9106) are stored with each hash, so that they may
// change: passes, KiB of memory, threads, salt, hash. These are what OWASP asks for at
// the least, as many strangers may try at the same time.
const (
	lockPasses  = 2
	lockMemory  = 19 << 10
	lockThreads = 1
	lockSalt    = 16
	lockHash    = 32
	lockSize    = 1 + 4 + 1 + lockSalt + lockHash
)

// lock hashes a new password.
func (s *Service) lock(ctx context.Context, password string) ([]byte, error) {
	head := []byte{lockPasses}
	head = binary.BigEndian.AppendUint32(head, lockMemory)
	head = append(head, lockThreads)
	salt := make([]byte, lockSalt)
	if _, err := rand.Read(salt); err != nil {
		return nil, err
	}
	return s.hash(ctx, append(head, salt...), password)
}

// hash appends the hash of a password to its parameters.
func (s *Service) hash(ctx context.Context, head []byte, password string) ([]byte, error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.slots }()
	sum := argon2.IDKey([]byte(password), head[6:], uint32(head[0]), binary.BigEndian.Uint32(head[1:]), head[5], lockHash)
	return append(head[:len(head):len(head)], sum...), nil
}

// fits reports whether a password opens a lock.
func (s *Service) fits(ctx context.Context, lock []byte, password string) (bool, error) {
	if len(lock) != lockSize {
		return false, vam.Errorf(vam.Corrupt, "the stored password of this link is damaged; ask the sender for a new link")
	}
	got, err := s.hash(ctx, lock[:lockSize-lockHash], password)
	return err == nil && subtle.ConstantTimeCompare(got, lock) == 1, err
}

// Unlock trades the password of a link for a pass that stands in the path, so that no
// cookie is needed. A link without a password gives one for any. From is where the
// password comes from: wrong ones delay others of that network, and only very many delay
// all who have the link. Unauthenticated for a wrong password; Busy with RetryAfter after
// too many; else as Open.
func (s *Service) Unlock(ctx context.Context, token, password string, from netip.Addr) (pass string, err error) {
	g, secret, err := s.open(ctx, token)
	if err != nil {
		return "", err
	}
	if secret.Lock == nil {
		return s.newPass(g, secret), nil
	}
	network := guesser(g.ID, from)
	if err := s.guess(network); err != nil {
		return "", err
	}
	if err := s.store.Try(ctx, g.ID, s.o.Now()); err != nil {
		return "", err
	}
	ok, err := s.fits(ctx, secret.Lock, password[:min(len(password), maxPassword+1)])
	if err != nil {
		return "", err
	}
	if !ok {
		return "", vam.Errorf(vam.Unauthenticated, "that is not the password of this link; the sender knows it")
	}
	s.guesses.Forget(network)
	return s.newPass(g, secret), s.store.Solved(ctx, g.ID)
}

// guesser is the key of a network that guesses at a link; "" is not known, as behind a
// web server on this machine, which passes on what all the world sends.
func guesser(id ID, from netip.Addr) string {
	if !from.IsValid() || from.Unmap().IsLoopback() {
		return ""
	}
	return id.String() + " " + admission.Network(from)
}

// guess takes one try of a network before it is judged: ten at once, as people mistype,
// then two an hour.
func (s *Service) guess(network string) error {
	if network == "" {
		return nil
	}
	var e *vam.Error
	if errors.As(s.guesses.Take(network, admission.Rate{Events: 2, Per: time.Hour, Burst: 10}, 1), &e) {
		return vam.Errorf(vam.Busy, "too many wrong passwords of this link came from your network; try again in %s", e.RetryAfter).WithRetry(e.RetryAfter)
	}
	return nil
}

// A pass is the second that it ends in and a MAC over that, the grant and the lock: it
// ends with the password that it was given for.
const (
	passTime = 5 // octets
	passMAC  = 16
)

func (s *Service) newPass(g Grant, secret Secret) string {
	var until [8]byte
	binary.BigEndian.PutUint64(until[:], uint64(s.o.Now().Add(s.o.PassFor).Unix()))
	end := until[8-passTime:]
	return base64.RawURLEncoding.EncodeToString(append(end, s.passMAC(g.ID, secret.Lock, end)...))
}

func (s *Service) passMAC(id ID, lock, end []byte) []byte {
	var h hash.Hash = hmac.New(sha256.New, s.pass)
	h.Write(id[:])
	h.Write(end)
	h.Write(lock)
	return h.Sum(nil)[:passMAC]
}

// Admit opens a link for whoever may see its content: with the pass that Unlock gave,
// which may be "" for a link without a password. Unauthenticated when the password is
// to be asked for, also when the pass is over or not for this link; else as Open.
func (s *Service) Admit(ctx context.Context, token, pass string) (Grant, error) {
	g, secret, err := s.open(ctx, token)
	if err != nil || secret.Lock == nil {
		return g, err
	}
	b, err := base64.RawURLEncoding.DecodeString(pass)
	if err != nil || len(b) != passTime+passMAC || !hmac.Equal(b[passTime:], s.passMAC(g.ID, secret.Lock, b[:passTime])) {
		return g, errLocked()
	}
	var until [8]byte
	copy(until[8-passTime:], b)
	if !s.o.Now().Before(time.Unix(int64(binary.BigEndian.Uint64(until[:])), 0)) {
		return g, errLocked()
	}
	return g, nil
}

func errLocked() error {
	return vam.Errorf(vam.Unauthenticated, "this link asks for the password that the sender gave you").WithProblem("password")
}
