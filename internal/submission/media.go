package submission

import (
	"cmp"
	"context"
	"io"
	"slices"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/message"
)

// Upload receives one blob; see message.Service.Upload. OverQuota when the message
// would become larger than the mailbox has room for, or the disk is full.
func (s *Service) Upload(ctx context.Context, acct account.Account, k message.Key, p message.Piece, body io.Reader) (bool, error) {
	if _, err := s.own(ctx, acct, k); err != nil {
		return false, err
	}
	return s.o.Messages.Upload(ctx, k, p, body, func(m message.Message, total vam.Bytes) error {
		if err := s.disk(ctx, vam.Bytes(p.Length)); err != nil {
			return err
		}
		return s.quota(ctx, acct, charged(m), total)
	})
}

// Missing returns those of pieces that are to be uploaded.
func (s *Service) Missing(ctx context.Context, acct account.Account, k message.Key, pieces []message.Piece) ([]message.Piece, error) {
	if _, err := s.own(ctx, acct, k); err != nil {
		return nil, err
	}
	return s.o.Messages.Missing(ctx, k, pieces)
}

// Append extends the log; see message.Service.Append. An author appends media,
// posters and texts, and nothing after the seal; whatever else is in a log is the
// server's to write (AM-4.18). Errors also: Denied, OverQuota.
func (s *Service) Append(ctx context.Context, acct account.Account, k message.Key, ifMatch int64, lines [][]byte) (message.Message, error) {
	lines, _, err := s.mayAppend(ctx, acct, k, ifMatch, lines)
	if err != nil {
		return message.Message{}, err
	}
	return s.o.Messages.Append(ctx, k, ifMatch, lines)
}

// AppendSeal is Append and then Seal, in as few commits as can be.
func (s *Service) AppendSeal(ctx context.Context, acct account.Account, k message.Key, ifMatch int64, lines [][]byte) (message.Message, error) {
	lines, d, err := s.mayAppend(ctx, acct, k, ifMatch, lines)
	if err != nil {
		return message.Message{}, err
	}
	return s.sealed(s.o.Messages.AppendSeal(ctx, k, ifMatch, lines, activmail.Sum{}, sealOf(d)))
}

// mayAppend checks what an author's program appends and returns the lines as they go
// into the log.
func (s *Service) mayAppend(ctx context.Context, acct account.Account, k message.Key, ifMatch int64, lines [][]byte) ([][]byte, Draft, error) {
	d, err := s.own(ctx, acct, k)
	if err != nil {
		return nil, d, err
	}
	m, err := s.o.Messages.Get(ctx, k)
	if err != nil {
		return nil, d, err
	}
	if s.tooLong(m) {
		return nil, d, vam.Errorf(vam.TooLarge, "a recording that is sent while it is made may last %s (this server's limit); seal it and go on in another message", s.o.MaxLive).WithProblem("too-large")
	}
	more, err := s.checkLines(lines)
	if err != nil {
		return nil, d, err
	}
	if m.Head.MediaBytes == 0 {
		if lines, err = s.typed(lines, d.Type); err != nil {
			return nil, d, err
		}
	}
	if m.Head.Lines == ifMatch { // otherwise it is not taken anyway
		if !m.Head.SealedAt.IsZero() {
			return nil, d, vam.Errorf(vam.Conflict, "the message is sealed; nothing can be added to it").WithProblem("sealed")
		}
		if err := s.quota(ctx, acct, charged(m), vam.Bytes(m.Head.MediaBytes)+more); err != nil {
			return nil, d, err
		}
	}
	return lines, d, nil
}

// checkLines returns how many octets the lines add to the media.
func (s *Service) checkLines(lines [][]byte) (more vam.Bytes, err error) {
	for i, line := range lines {
		r, err := activmail.ParseRecord(line, s.o.Messages.Limits())
		if err != nil {
			return 0, err
		}
		switch r.Kind {
		case activmail.RecordInit, activmail.RecordPart, activmail.RecordPoster, activmail.RecordText:
		default:
			return 0, vam.Errorf(vam.Denied, "line %d is a %s record: use the request of that name where there is one, the server writes the record", i, r.Kind).WithProblem("policy")
		}
		if r.IsMedia() {
			more += r.Length
		}
	}
	return more, nil
}

// typed writes the media type of the file into the first record of the media where the
// author's program has left it out (AM-4.13).
func (s *Service) typed(lines [][]byte, mediaType string) ([][]byte, error) {
	for i, line := range lines {
		r, err := activmail.ParseRecord(line, s.o.Messages.Limits())
		if err != nil || !r.IsMedia() {
			if err != nil {
				return nil, err
			}
			continue
		}
		if r.ContentType != "" {
			return lines, nil
		}
		r.ContentType = cmp.Or(mediaType, "application/octet-stream")
		if line, err = r.MarshalLine(); err != nil {
			return nil, err
		}
		lines = slices.Clone(lines)
		lines[i] = line
		return lines, nil
	}
	return lines, nil
}

// tooLong reports whether a live message is over its time (AM-10.23).
func (s *Service) tooLong(m message.Message) bool {
	return s.o.MaxLive > 0 && m.Head.State == vam.Live && !m.SentAt.IsZero() && s.o.Now().Sub(m.SentAt) > s.o.MaxLive
}

// Seal ends the log; see message.Service.Seal.
func (s *Service) Seal(ctx context.Context, acct account.Account, k message.Key, want activmail.Sum) (message.Message, error) {
	d, err := s.own(ctx, acct, k)
	if err != nil {
		return message.Message{}, err
	}
	return s.sealed(s.o.Messages.Seal(ctx, k, want, sealOf(d)))
}

// sealOf is what a seal tells that the author said.
func sealOf(d Draft) activmail.Record { return activmail.Record{ContentType: d.Type, Name: d.Name} }

// sealed wakes the queue after a seal of a message that was sent already: its recipients
// are told.
func (s *Service) sealed(m message.Message, err error) (message.Message, error) {
	if err == nil && !m.SentAt.IsZero() {
		s.o.Wake()
	}
	return m, err
}
