package reception

import (
	"context"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

// promised compares the lines of an offer with what its mail says of them, where they
// reach that far (AM-12.9); the rest of a log is compared when it is here.
func promised(h activmail.MessageHeader, lines [][]byte) error {
	if !h.Sealed || h.Checkpoint.Size > int64(len(lines)) {
		return nil
	}
	var tree activmail.Tree
	for _, line := range lines[:h.Checkpoint.Size] {
		tree.Append(activmail.LeafHash(line))
	}
	return fits(h, tree.Root())
}

// kept compares a sealed log with what the letter of the message says of it (AM-12.9): a
// letter that was written over another log was not written for this message. Errors:
// a fault with checkpoint-inconsistent.
func (s *Service) kept(ctx context.Context, k message.Key) error {
	m, err := s.o.Messages.Get(ctx, k)
	if err != nil {
		return err
	}
	h, err := s.header(ctx, k)
	if err != nil || !h.Sealed {
		return err
	}
	if int64(h.Bytes) != m.Head.MediaBytes || h.Checkpoint.Size > m.Head.Lines {
		return &fault{vam.Errorf(vam.Corrupt, "the letter speaks of %s in %d lines and the log has %s in %d",
			h.Bytes, h.Checkpoint.Size, vam.Bytes(m.Head.MediaBytes), m.Head.Lines).WithProblem("checkpoint-inconsistent")}
	}
	root, err := s.o.Messages.Root(ctx, k, h.Checkpoint.Size)
	if err != nil {
		return err
	}
	if err := fits(h, root); err != nil {
		return &fault{err}
	}
	return nil
}

// header is what the letter of a message says of its log; zero when there is no letter.
func (s *Service) header(ctx context.Context, k message.Key) (h activmail.MessageHeader, err error) {
	letter, err := s.o.Messages.Mail(ctx, k)
	if err != nil {
		return h, ignore(err, vam.NotFound)
	}
	mail, err := rfc5322.Scan(letter)
	if err == nil {
		h, err = activmail.ParseMessageHeader(mail.Get(activmail.MessageHeaderName))
	}
	if err != nil {
		return h, &fault{err}
	}
	return h, nil
}

func fits(h activmail.MessageHeader, root activmail.Hash) error {
	if h.Checkpoint.Root == root {
		return nil
	}
	return vam.Errorf(vam.Corrupt, "the first %d lines of the log are not those that its mail was written over", h.Checkpoint.Size).WithProblem("checkpoint-inconsistent")
}

// ignore is err unless it is of a kind.
func ignore(err error, kind vam.ErrorKind) error {
	if err != nil && vam.KindOf(err) == kind {
		return nil
	}
	return err
}
