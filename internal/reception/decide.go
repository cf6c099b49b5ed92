package reception

import (
	"context"
	"strings"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// again decides anew on those recipients of an answered offer who could not take it then,
// which a code of class 4 says, and leaves the others as they are (AM-6.9). Its mail was
// verified when the offer came first.
func (s *Service) again(ctx context.Context, old Offered, o *activmail.Offer) (Offered, error) {
	var open []vam.Address
	for _, r := range old.Rcpts {
		if r.State == vam.Rejected && strings.HasPrefix(r.Code, "4.") {
			open = append(open, r.Address)
		}
	}
	if len(open) == 0 {
		return old, nil
	}
	m, err := s.o.Messages.Get(ctx, old.Key)
	if err != nil || m.State == vam.Revoked {
		return old, err
	}
	mail := Mail{Author: m.Author, Subject: m.Subject, Text: m.Text}
	t := s.taking(old.Key, o, mail, old.Digest)
	for _, a := range open {
		if err := s.decide(ctx, &t, a, o, mail); err != nil {
			return old, err
		}
	}
	if len(t.Entries) == 0 {
		return old, nil // as before
	}
	taken, err := s.store.Redecide(ctx, t)
	if err != nil {
		return old, err
	}
	s.o.Messages.Forget(old.Key) // it may have come back from purged
	if len(o.Log) > 0 {
		if _, err := s.o.Messages.Follow(ctx, old.Key, 0, o.Log, o.Checkpoint); err != nil {
			return old, err
		}
	}
	s.o.Wake()
	s.o.Log.Info("offer decided anew", "message", old.Key, "offer", o.ID, "answer", taken.summary())
	return taken, nil
}

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

func fits(h activmail.MessageHeader, root activmail.Hash) error {
	if h.Checkpoint.Root == root {
		return nil
	}
	return vam.Errorf(vam.Corrupt, "the first %d lines of the log are not those that its mail was written over", h.Checkpoint.Size).WithProblem("checkpoint-inconsistent")
}
