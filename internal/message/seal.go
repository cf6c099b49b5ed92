package message

import (
	"context"
	"slices"
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

// AppendSeal is Append and then Seal; where the lines bring all of the media as one part,
// whose name is its digest, they are one commit.
func (s *Service) AppendSeal(ctx context.Context, k Key, ifMatch int64, lines [][]byte, want activmail.Sum, r activmail.Record) (Message, error) {
	m, err := s.Get(ctx, k)
	if err != nil {
		return m, err
	}
	if part, ok := s.onlyPart(lines); ok && ifMatch == 0 && m.Head.Lines == 0 && s.Gone(m) == nil {
		if err := checkDigest(part.Blob, want); err != nil {
			return m, err
		}
		seal, err := sealLines(m, part.Length, part.Blob, r)
		if err != nil {
			return m, err
		}
		return s.Append(ctx, k, 0, append(slices.Clone(lines), seal...))
	}
	if m, err = s.Append(ctx, k, ifMatch, lines); err != nil {
		return m, err
	}
	return s.Seal(ctx, k, want, r)
}

// onlyPart is the one record of media among lines.
func (s *Service) onlyPart(lines [][]byte) (part activmail.Record, ok bool) {
	for _, line := range lines {
		r, err := activmail.ParseRecord(line, s.limits)
		if err != nil {
			return part, false
		}
		if r.HasBlob() && r.Track == "" && r.IsMedia() {
			if ok {
				return part, false
			}
			part, ok = r, true
		}
	}
	return part, ok
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
	return sealLines(m, vam.Bytes(m.Head.MediaBytes), sum, r)
}

// sealLines are the seal over media of n octets with that digest and, of a message that
// expires, when.
func sealLines(m Message, n vam.Bytes, sum activmail.Sum, r activmail.Record) ([][]byte, error) {
	r.Kind, r.Bytes, r.SHA256 = activmail.RecordSeal, n, sum
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
