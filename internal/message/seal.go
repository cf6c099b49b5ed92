package message

import (
	"context"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// Seal ends the log of a message of this server: the media is complete. r says what the
// seal tells beside sizes and digest. want, when it is not zero, is the SHA-256 that the
// author's program computed; a difference is Corrupt with problem digest-mismatch, and
// nothing is sealed. Sealing a sealed message again is no error. Gone when it was taken
// back or has expired.
func (s *Service) Seal(ctx context.Context, k Key, want activmail.Sum, r activmail.Record) (Message, error) {
	t, err := s.acquire(ctx, k)
	if err != nil {
		return Message{}, err
	}
	defer s.release(t)
	for {
		m, _, err := t.watch(ctx)
		if err != nil {
			return m, err
		}
		if err := s.Gone(m); err != nil {
			return m, err
		}
		if !m.Head.SealedAt.IsZero() {
			return m, checkDigest(activmail.Sum(m.Head.Digest), want)
		}
		lines, err := t.sealLines(ctx, m, want, r)
		if err == nil {
			m, err = s.Append(ctx, k, m.Head.Lines, lines)
		}
		if !moved(err) {
			return m, err
		}
		// Another append was first: the seal is over that one too.
	}
}

func checkDigest(got, want activmail.Sum) error {
	if want == (activmail.Sum{}) || want == got {
		return nil
	}
	return vam.Errorf(vam.Corrupt, "the bytes here have SHA-256 %x… and the author's program says %x…; nothing was sealed, upload again", got[:8], want[:8]).WithProblem("digest-mismatch")
}

// sealLines writes the seal over what the log names now.
func (t *tracker) sealLines(ctx context.Context, m Message, want activmail.Sum, r activmail.Record) ([][]byte, error) {
	sum, err := t.wholeDigest(ctx, m.Head.MediaBytes)
	if err != nil {
		return nil, err
	}
	if err := checkDigest(sum, want); err != nil {
		return nil, err
	}
	r.Kind, r.Bytes, r.SHA256 = activmail.RecordSeal, vam.Bytes(m.Head.MediaBytes), sum
	if r.Duration == 0 {
		r.Duration = m.Head.Duration
	}
	line, err := r.MarshalLine()
	if err != nil || m.Expires.IsZero() {
		return [][]byte{line}, err
	}
	expire, err := expireLine(m.Expires)
	return [][]byte{line, expire}, err
}

func expireLine(at time.Time) ([]byte, error) {
	return activmail.Record{Kind: activmail.RecordExpire, At: at.UTC().Truncate(time.Second)}.MarshalLine()
}

// Revoke ends a message of this server: the log stays readable and ends in a
// revoke record. Revoking twice is no error.
func (s *Service) Revoke(ctx context.Context, k Key, why string) (Message, error) {
	line, err := activmail.Record{Kind: activmail.RecordRevoke, At: s.now().UTC().Truncate(time.Second), Why: why}.MarshalLine()
	if err != nil {
		return Message{}, err
	}
	for {
		m, err := s.Get(ctx, k)
		if err != nil || m.Head.State == vam.Revoked {
			return m, err
		}
		if m, err = s.Append(ctx, k, m.Head.Lines, [][]byte{line}); !moved(err) {
			return m, err
		}
	}
}
