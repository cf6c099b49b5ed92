package message

import (
	"context"
	"io"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// ReadAt is io.ReaderAt over what is here; it does not wait.
func (m *Media) ReadAt(p []byte, off int64) (int, error) { return m.object().ReadAt(p, off) }

// Content is the first size octets as http.ServeContent wants them. Close it.
func (m *Media) Content(ctx context.Context, size int64) io.ReadSeekCloser {
	return &content{ctx: ctx, m: m, size: size}
}

type content struct {
	ctx      context.Context
	m        *Media
	at, size int64
	r        io.ReadCloser
}

func (c *content) Read(p []byte) (int, error) {
	if c.at >= c.size {
		return 0, io.EOF
	}
	if c.r == nil {
		c.r = c.m.Reader(c.ctx, c.at, c.size-c.at)
	}
	n, err := c.r.Read(p)
	c.at += int64(n)
	return n, err
}

func (c *content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.at
	case io.SeekEnd:
		offset += c.size
	}
	if offset < 0 {
		return 0, vam.Errorf(vam.Invalid, "a seek before the start")
	}
	if offset != c.at {
		_ = c.Close()
	}
	c.at = offset
	return offset, nil
}

func (c *content) Close() error {
	if c.r == nil {
		return nil
	}
	r := c.r
	c.r = nil
	return r.Close()
}

// SealRecord is the seal of a sealed message. NotFound for one that is not.
func (s *Service) SealRecord(ctx context.Context, m Message) (activmail.Record, error) {
	// Only texts, expire and revoke may follow a seal: it is near the end.
	const last = 64
	lines, err := s.store.Lines(ctx, m.Key, max(0, m.Head.Lines-last), last)
	if err != nil {
		return activmail.Record{}, err
	}
	for _, l := range lines {
		if r, err := activmail.ParseRecord(l.Raw, s.limits); err == nil && r.Kind == activmail.RecordSeal {
			return r, nil
		}
	}
	return activmail.Record{}, vam.Errorf(vam.NotFound, "the message is not sealed")
}
