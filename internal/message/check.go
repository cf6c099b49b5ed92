package message

import (
	"context"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
)

// Check reads every byte of a message that is here against its record, calling
// bad for each record that does not match. It returns how many octets it read. An
// error other than that of ctx says that the message could not be checked.
func (s *Service) Check(ctx context.Context, k Key, bad func(Line, error)) (int64, error) {
	w, err := s.OpenMedia(ctx, k)
	if err != nil {
		return 0, s.nothingToCheck(ctx, k, err)
	}
	defer func() { _ = w.Close() }()
	var read, next int64
	for {
		lines, err := s.store.Lines(ctx, k, next, linePage)
		if err != nil || len(lines) == 0 {
			return read, err
		}
		next += int64(len(lines))
		for _, l := range lines {
			if err := ctx.Err(); err != nil {
				return read, err
			}
			n, err := w.check(ctx, l, s.limits)
			read += n
			if err != nil {
				bad(l, err)
			}
		}
	}
}

// nothingToCheck tells media that need not be here from media that is lost.
func (s *Service) nothingToCheck(ctx context.Context, k Key, cause error) error {
	kind := vam.KindOf(cause)
	if kind == vam.Gone {
		return nil
	}
	m, err := s.Get(ctx, k)
	switch {
	case err != nil:
		return err
	case kind == vam.NotFound && m.Media == (blob.ID{}) && (m.Head.MediaBytes == 0 || !m.Complete):
		return nil
	case kind == vam.NotFound:
		return vam.Wrap(vam.Corrupt, cause, "the media of %s is not on the disk any more; restore it from a backup", k)
	}
	return cause
}

func (m *Media) check(ctx context.Context, l Line, limits activmail.Limits) (int64, error) {
	r, err := activmail.ParseRecord(l.Raw, limits)
	if err != nil || !r.HasBlob() {
		return 0, err
	}
	complete := m.Message().Complete
	if !r.IsMedia() {
		side, size, err := m.object().Side(ctx, r.Blob)
		if err != nil {
			if vam.KindOf(err) == vam.NotFound && !complete {
				return 0, nil // still to be pulled
			}
			return 0, err
		}
		defer func() { _ = side.Close() }()
		buf, err := blob.ReceivePart(side, r.Blob, size, &m.t.s.buffers)
		m.t.s.buffers.Put(buf)
		return size, err
	}
	if !complete && m.Available(l.Offset) < l.Offset+l.Length {
		return 0, nil
	}
	ok, err := blob.VerifyRange(ctx, m.object(), l.Offset, l.Length, r.Blob)
	if err == nil && !ok {
		err = vam.Errorf(vam.Corrupt, "the %d octets at %d do not match their record", l.Length, l.Offset)
	}
	return l.Length, err
}

// VerifyDigest reads a complete message's media and compares it with the digest in
// its seal (AM-4.23): the parts are verified already, so this catches an origin whose
// seal contradicts its own records. Corrupt (digest-mismatch).
func (s *Service) VerifyDigest(ctx context.Context, k Key) error {
	m, err := s.Get(ctx, k)
	if err != nil || m.Head.MediaBytes == 0 {
		return err // the log itself holds the hash of nothing to it
	}
	media, err := s.OpenMedia(ctx, k)
	if err != nil {
		return err
	}
	defer func() { _ = media.Close() }()
	start := time.Now()
	sum, err := blob.Digest(ctx, media.object(), 0, m.Head.MediaBytes)
	if err != nil {
		return err
	}
	if activmail.Hash(sum) != m.Head.Digest {
		return vam.Errorf(vam.Corrupt, "the whole file has another SHA-256 than its seal says").WithProblem("digest-mismatch")
	}
	s.log.Debug("whole-file digest verified", "message", k, "bytes", m.Head.MediaBytes, "took", time.Since(start))
	return nil
}
