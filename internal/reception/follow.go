package reception

import (
	"bytes"
	"context"
	"errors"

	"golang.org/x/sync/semaphore"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/message"
)

// Lines stay in memory until the checkpoint behind them is verified. logBatch bounds
// those of one message, which is enough for 200,000 lines of 300 octets, and logMemory
// those of all messages.
const (
	logBatch  = 64 << 20
	logMemory = 128 << 20
	// logStep is how much memory is claimed at a time, lineCost what a line takes beside
	// its octets.
	logStep  = 1 << 20
	lineCost = 64
	// Of a message that nobody accepted no more than unwantedLines are kept in all and
	// unwantedLog octets come at a time: they count for no mailbox, and anybody may offer. It
	// is enough for 5 GiB in parts of 1 MiB.
	unwantedLines = 5000
	unwantedLog   = 2 << 20
)

// errUnwanted ends reading the log of a message that nobody accepted where it is longer
// than is kept of one.
var errUnwanted = errors.New("nobody accepted the message, and its log is long")

// batch collects lines of one log within the bounds of memory. Close it.
type batch struct {
	memory *semaphore.Weighted
	most   int64 // how many lines there may be of a message that nobody accepted; 0 is any number
	lines  [][]byte
	size   int64
	taken  int64
}

// take keeps a copy of a line. Errors: TooLarge, Busy, errUnwanted.
func (b *batch) take(line []byte) error {
	b.size += int64(len(line)) + lineCost
	if b.most > 0 && (int64(len(b.lines)) >= b.most || b.size > unwantedLog) {
		return errUnwanted
	}
	if b.size > logBatch {
		return vam.Errorf(vam.TooLarge, "the log has more than %s at once; that is more than is read here", vam.Bytes(logBatch))
	}
	for b.size > b.taken {
		if !b.memory.TryAcquire(logStep) {
			return vam.Errorf(vam.Busy, "this server is reading as many logs as it has memory for")
		}
		b.taken += logStep
	}
	b.lines = append(b.lines, bytes.Clone(line))
	return nil
}

func (b *batch) close() { b.memory.Release(b.taken) }

// extend brings the log up to what the origin has now, and reports whether there was
// news. An origin may send fewer lines than its checkpoint covers: it is asked on until
// they are all here (AM-7.7). Of a message that is not wanted a long log is not taken:
// errUnwanted.
func (s *Service) extend(ctx context.Context, k message.Key, origin Origin, wanted bool) (message.Message, bool, error) {
	m, err := s.o.Messages.Get(ctx, k)
	if err != nil {
		return m, false, err
	}
	b := batch{memory: s.memory}
	if !wanted {
		if b.most = unwantedLines - m.Head.Lines; b.most <= 0 {
			return m, false, errUnwanted
		}
	}
	defer b.close()
	for {
		had := len(b.lines)
		checkpoint, err := origin.Log(ctx, m.Head.Lines+int64(had), 0, b.take)
		if err != nil {
			return m, false, err
		}
		if len(b.lines) == had {
			if had == 0 {
				return m, false, nil
			}
			return m, false, vam.Errorf(vam.Unavailable, "the origin signed lines that it does not send")
		}
		cp, err := activmail.OpenCheckpoint(checkpoint, k.Origin, k.ID, m.PublicKey)
		if err != nil {
			return m, false, &fault{err}
		}
		if cp.Size > m.Head.Lines+int64(len(b.lines)) {
			continue
		}
		if !wanted && s.o.Grew != nil {
			if err := s.o.Grew(k, vam.Bytes(b.size)); err != nil {
				return m, false, err
			}
		}
		m, err = s.followed(s.o.Messages.Follow(ctx, k, m.Head.Lines, b.lines, checkpoint))
		return m, err == nil, err
	}
}

// followed marks what a log cannot get over.
func (s *Service) followed(m message.Message, err error) (message.Message, error) {
	switch vam.KindOf(err) {
	case vam.Corrupt, vam.Invalid, vam.TooLarge:
		err = &fault{err}
	}
	return m, err
}
