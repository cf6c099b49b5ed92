package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

// TLSCopy sends file over one bare TLS 1.3 connection into a sink in dir, and ends
// when the sink has said that it has it. A checked sink hashes (SHA-256) and syncs
// before it says so. It has no names, no ranges, no resume and no identity of the
// receiver's user: the least that a durable transfer can cost.
func TLSCopy(ctx context.Context, t *Track, file File, dir string, checked bool) (Transfer, error) {
	id, err := newIdentity()
	if err != nil {
		return Transfer{}, err
	}
	return copyInto(ctx, t, file, dir, checked, func(c net.Conn, server bool) streamConn {
		if server {
			return tls.Server(c, id.server())
		}
		return tls.Client(c, id.client())
	})
}

// TCPCopy is TLSCopy without TLS: what a path carries over one connection.
func TCPCopy(ctx context.Context, t *Track, file File, dir string) (Transfer, error) {
	return copyInto(ctx, t, file, dir, false, func(c net.Conn, _ bool) streamConn { return c.(*net.TCPConn) })
}

// streamConn can end its own direction.
type streamConn interface {
	net.Conn
	CloseWrite() error
}

// ready is the receiving side's word.
const ready = 'k'

func copyInto(ctx context.Context, t *Track, file File, dir string, checked bool, wrap func(c net.Conn, server bool) streamConn) (Transfer, error) {
	l, err := t.Listen(ctx)
	if err != nil {
		return Transfer{}, err
	}
	defer func() { _ = l.Close() }()
	s, err := newSink(dir, checked)
	if err != nil {
		return Transfer{}, err
	}
	defer s.remove()

	received := make(chan error, 1)
	go func() { received <- receiveOne(l, s, wrap) }()
	out, err := t.timed("tcp", l.Addr().String(), file, func(addr string) error {
		c, err := t.Dial(ctx, addr)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		defer context.AfterFunc(ctx, func() { _ = c.Close() })()
		return sendFile(wrap(c, false), file)
	})
	_ = l.Close() // so that the receiver ends, had nothing come
	if err := errors.Join(err, <-received); err != nil {
		return Transfer{}, err
	}
	return out, s.check(file)
}

// receiveOne takes one connection's octets into s and answers.
func receiveOne(l net.Listener, s *sink, wrap func(c net.Conn, server bool) streamConn) error {
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	sc := wrap(c, true)
	if _, err := s.fill(sc); err != nil {
		return err
	}
	_, err = sc.Write([]byte{ready})
	return errors.Join(err, sc.CloseWrite())
}

// sendFile sends it and waits for the answer.
func sendFile(c streamConn, file File) error {
	f, err := os.Open(file.Path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if _, err := io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{f}, make([]byte, copyBuffer)); err != nil {
		return err
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	var word [1]byte
	if _, err := io.ReadFull(c, word[:]); err != nil {
		return fmt.Errorf("waiting for the receiver: %w", err)
	}
	return nil
}
