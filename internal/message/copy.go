package message

import (
	"context"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
)

// Reusable reports whether complete media with the identity of a sealed message is
// here that peer is known to hold. Only a holder may name media into place: otherwise
// a hash would be enough to fetch somebody else's file (AM-4.25).
func (s *Service) Reusable(ctx context.Context, k Key, peer vam.Domain) (bool, error) {
	_, ok, err := s.reusable(ctx, k, peer)
	return ok, err
}

func (s *Service) reusable(ctx context.Context, k Key, peer vam.Domain) (id blob.ID, ok bool, err error) {
	m, err := s.Get(ctx, k)
	if err != nil || m.Head.SealedAt.IsZero() || m.Complete || m.Head.MediaBytes == 0 {
		return id, false, err
	}
	id, err = s.store.FindMedia(ctx, m.Head.Identity, peer)
	if vam.KindOf(err) == vam.NotFound && err != nil {
		return id, false, nil
	}
	return id, err == nil && id != m.Media, err
}

const (
	// alike is how many messages of one size are compared, openingLines in how much of
	// their logs the media has to begin.
	alike        = 8
	openingLines = 16
)

// MayBeReusable reports whether a message of which only the beginning of the log is known
// may turn out to be Reusable: media that is here, and that peer is known to hold, has the
// size that was announced and begins with the same part.
func (s *Service) MayBeReusable(ctx context.Context, k Key, peer vam.Domain) (bool, error) {
	m, err := s.Get(ctx, k)
	if err != nil || m.Announced == 0 {
		return false, err
	}
	others, err := s.store.SameSize(ctx, m.Announced, peer, alike)
	if err != nil || len(others) == 0 {
		return false, err
	}
	mine, err := s.opening(ctx, k)
	if err != nil {
		return false, err
	}
	for _, other := range others {
		theirs, err := s.opening(ctx, other)
		if err != nil {
			return false, err
		}
		if mine == (activmail.Sum{}) || mine == theirs {
			return true, nil
		}
	}
	return false, nil
}

// opening is the first part of the media; zero when the log does not name it yet.
func (s *Service) opening(ctx context.Context, k Key) (activmail.Sum, error) {
	lines, err := s.store.Lines(ctx, k, 0, openingLines)
	if err != nil {
		return activmail.Sum{}, err
	}
	for _, l := range lines {
		if l.Offset != 0 {
			continue
		}
		if r, err := activmail.ParseRecord(l.Raw, s.limits); err == nil && r.IsMedia() {
			return r.Blob, nil
		}
	}
	return activmail.Sum{}, nil
}

// Reuse points a sealed message at the media that Reusable found, in the place of what
// was pulled of it, and reports whether there was any. Posters, texts and extra tracks
// are not part of the media and may still be missing. No Writer is open.
func (s *Service) Reuse(ctx context.Context, k Key, peer vam.Domain) (bool, error) {
	id, ok, err := s.reusable(ctx, k, peer)
	if err != nil || !ok {
		return false, err
	}
	return true, s.link(ctx, k, id)
}

func (s *Service) link(ctx context.Context, k Key, id blob.ID) error {
	if err := s.store.LinkMedia(ctx, k, id); err != nil {
		return err
	}
	s.Forget(k)
	return nil
}

// CopyMedia gives a draft of this server the media and the media records of a
// complete message, and seals it: a forward or a resend moves no byte. It may be
// repeated after a crash. Conflict when the draft has media of its own, or the source
// has not fully arrived; Gone; NotFound.
func (s *Service) CopyMedia(ctx context.Context, dst, src Key) (Message, error) {
	from, err := s.Get(ctx, src)
	if err != nil {
		return Message{}, err
	}
	if err := s.Gone(from); err != nil {
		return Message{}, err
	}
	if !from.Complete {
		return Message{}, vam.Errorf(vam.Conflict, "the message %s has not fully arrived yet; forward it when it has", src).WithProblem("not-complete")
	}
	t, err := s.acquire(ctx, dst)
	if err != nil {
		return Message{}, err
	}
	defer s.release(t)
	sign, err := s.signer(ctx, dst)
	if err != nil {
		return Message{}, err
	}
	t.appending.Lock()
	defer t.appending.Unlock()
	if err := t.refresh(ctx); err != nil {
		return Message{}, err
	}
	m, _ := t.snapshot()
	if m.Head.Lines > 0 || m.Media != (blob.ID{}) && m.Media != from.Media {
		return m, vam.Errorf(vam.Conflict, "the message has media of its own already; make another one to forward %s", src).WithProblem("sealed")
	}
	if m.Media != from.Media {
		if err := s.link(ctx, dst, from.Media); err != nil {
			return m, err
		}
	}
	lines, err := s.mediaLines(ctx, from)
	if err != nil {
		return m, err
	}
	if !m.Expires.IsZero() {
		line, err := expireLine(m.Expires)
		if err != nil {
			return m, err
		}
		lines = append(lines, line)
	}
	return t.append(ctx, 0, lines, appending{own: true, sign: sign})
}

// mediaLines reads what a log says of its media, up to the seal. An expiry, and what
// came after the seal, was said of that message alone (AM-8.19).
func (s *Service) mediaLines(ctx context.Context, m Message) ([][]byte, error) {
	var out [][]byte
	for next := int64(0); next < m.Head.Lines; {
		page, err := s.store.Lines(ctx, m.Key, next, linePage)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			break
		}
		for _, l := range page {
			r, err := activmail.ParseRecord(l.Raw, s.limits)
			if err != nil {
				return nil, vam.Wrap(vam.Corrupt, err, "line %d of the stored log of %s is damaged", l.N, m.Key)
			}
			switch r.Kind {
			case activmail.RecordInit, activmail.RecordPart, activmail.RecordPoster, activmail.RecordText:
				out = append(out, l.Raw)
			case activmail.RecordSeal:
				return append(out, l.Raw), nil
			}
		}
		next += int64(len(page))
	}
	return nil, vam.Errorf(vam.Corrupt, "the stored log of %s has no seal", m.Key)
}
