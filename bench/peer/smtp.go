package peer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/textproto"
	"os"

	"github.com/videoactivmail/vam"
)

// smtpSession is one session of an SMTP client that pipelines (RFC 2920).
type smtpSession struct {
	conn net.Conn
	out  *bufio.Writer
	in   *textproto.Reader
}

func dialSMTP(ctx context.Context, t *Track, addr string) (*smtpSession, error) {
	c, err := t.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	s := &smtpSession{conn: c, out: bufio.NewWriterSize(c, copyBuffer), in: textproto.NewReader(bufio.NewReader(c))}
	if err := s.greet(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return s, nil
}

func (s *smtpSession) greet() error {
	if _, _, err := s.in.ReadResponse(220); err != nil {
		return err
	}
	return s.say("EHLO client.test\r\n", 250)
}

// say writes commands at once and reads an answer with each of the codes.
func (s *smtpSession) say(commands string, codes ...int) error {
	if _, err := s.out.WriteString(commands); err != nil {
		return err
	}
	if err := s.out.Flush(); err != nil {
		return err
	}
	for _, code := range codes {
		if _, _, err := s.in.ReadResponse(code); err != nil {
			return fmt.Errorf("the server answered: %w", err)
		}
	}
	return nil
}

// send submits one mail and waits for its acceptance. content must not write lines
// that begin with a dot.
func (s *smtpSession) send(content func(*lineWriter) error) error {
	envelope := "MAIL FROM:<alice@client.test>\r\nRCPT TO:<" + mailBox + "@" + mailDomain + ">\r\nDATA\r\n"
	if err := s.say(envelope, 250, 250, 354); err != nil {
		return err
	}
	if err := content(&lineWriter{w: s.out}); err != nil {
		return err
	}
	return s.say(".\r\n", 250)
}

// quit ends the session. A server that does not answer any more has ended it too.
func (s *smtpSession) quit() {
	_ = s.say("QUIT\r\n", 221)
	_ = s.conn.Close()
}

// The lines of a base64 attachment: 57 octets in 76 characters (RFC 2045 section 6.8).
const (
	lineOctets = 57
	lineChars  = 76
)

// lineWriter writes base64 in lines.
type lineWriter struct {
	w    *bufio.Writer
	line [lineChars + 2]byte
}

// encode writes b, whose length is a multiple of lineOctets except at the end.
func (l *lineWriter) encode(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), lineOctets)
		m := base64.StdEncoding.EncodedLen(n)
		base64.StdEncoding.Encode(l.line[:], b[:n])
		l.line[m], l.line[m+1] = '\r', '\n'
		if _, err := l.w.Write(l.line[:m+2]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

const boundary = "frontier"

// attachment writes a whole mail with file in it.
func attachment(w *lineWriter, file File) error {
	f, err := os.Open(file.Path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := mailHead(w, 0, true); err != nil {
		return err
	}
	buf := make([]byte, lineOctets<<12)
	for {
		n, err := io.ReadFull(f, buf)
		if err := w.encode(buf[:n]); err != nil {
			return err
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			_, err := w.w.WriteString("--" + boundary + "--\r\n")
			return err
		default:
			return err
		}
	}
}

func mailHead(w *lineWriter, n int, attached bool) error {
	head := fmt.Sprintf("From: alice@client.test\r\nTo: %s@%s\r\nSubject: number %d\r\nMessage-ID: <%d@client.test>\r\nMIME-Version: 1.0\r\n", mailBox, mailDomain, n, n)
	if attached {
		head += "Content-Type: multipart/mixed; boundary=" + boundary + "\r\n\r\n--" + boundary + "\r\n" +
			"Content-Type: video/mp4\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=video.mp4\r\n"
	}
	_, err := w.w.WriteString(head + "\r\n")
	return err
}

// small writes a whole mail around a body that text or encoded made.
func small(w *lineWriter, n int, body []byte, attached bool) error {
	if err := mailHead(w, n, attached); err != nil {
		return err
	}
	if _, err := w.w.Write(body); err != nil {
		return err
	}
	if !attached {
		return nil
	}
	_, err := w.w.WriteString("--" + boundary + "--\r\n")
	return err
}

// text is about size octets of lines.
func text(size vam.Bytes) []byte {
	line := bytes.Repeat([]byte("abcdefghi "), 7)
	line = append(line, '\r', '\n')
	return bytes.Repeat(line, max(int(size)/len(line), 1))
}

// encoded is size octets of noise in base64.
func encoded(size vam.Bytes) []byte {
	raw := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(raw)
	var b bytes.Buffer
	w := &lineWriter{w: bufio.NewWriter(&b)}
	_ = w.encode(raw)
	_ = w.w.Flush()
	return b.Bytes()
}

// checkAttachment compares the attachment of a delivered mail with what was sent.
func checkAttachment(path string, want File) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	r := bufio.NewReaderSize(f, copyBuffer)
	h := sha256.New()
	for inside := false; ; {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("%s ends early: %w", path, err)
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case bytes.HasPrefix(line, []byte("--"+boundary+"--")):
			return sameHash(h, want)
		case bytes.HasPrefix(line, []byte("Content-Disposition:")):
			inside = true
		case inside && len(line) > 0:
			var octets [lineOctets]byte
			n, err := base64.StdEncoding.Decode(octets[:], line)
			if err != nil {
				return err
			}
			h.Write(octets[:n])
		}
	}
}
