package peer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// copyBuffer is how much is moved at once, in octets.
const copyBuffer = 256 << 10

// File is what is sent: noise, so that nothing can be compressed or deduplicated.
type File struct {
	Path   string
	Size   int64
	SHA256 string // lower-case hex
}

// MakeFile writes size octets of noise that follow from seed into dir.
func MakeFile(dir string, size int64, seed byte) (File, error) {
	f := File{Path: filepath.Join(dir, fmt.Sprintf("noise-%d-%d.mp4", seed, size)), Size: size}
	out, err := os.Create(f.Path)
	if err != nil {
		return File{}, err
	}
	h := sha256.New()
	_, err = io.CopyBuffer(io.MultiWriter(out, h), io.LimitReader(rand.NewChaCha8([32]byte{seed}), size), make([]byte, copyBuffer))
	if e := out.Close(); err == nil {
		err = e
	}
	f.SHA256 = hex.EncodeToString(h.Sum(nil))
	return f, err
}

// sink takes a file off the network into another file.
type sink struct {
	file    *os.File
	hash    hash.Hash // nil where it does not hash
	durable bool
}

// newSink creates a file in dir. A checked sink hashes what it writes and syncs it
// at the end, as a server must before it says "stored"; the other does neither.
func newSink(dir string, checked bool) (*sink, error) {
	f, err := os.CreateTemp(dir, "sink-*")
	if err != nil {
		return nil, err
	}
	s := &sink{file: f, durable: checked}
	if checked {
		s.hash = sha256.New()
	}
	return s, nil
}

// fill copies r to the end, in whole buffers whatever the size of r's records, and
// makes it durable where that is asked for.
func (s *sink) fill(r io.Reader) (n int64, err error) {
	buf := make([]byte, copyBuffer)
	for {
		m, err := io.ReadFull(r, buf)
		if s.hash != nil {
			s.hash.Write(buf[:m])
		}
		if _, err := s.file.Write(buf[:m]); err != nil {
			return n, err
		}
		n += int64(m)
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			if s.durable {
				return n, s.file.Sync()
			}
			return n, nil
		default:
			return n, err
		}
	}
}

// check compares what arrived with what was sent; a sink that did not hash reads
// its file for it. Not part of any measurement.
func (s *sink) check(want File) error {
	if s.hash != nil {
		return sameHash(s.hash, want)
	}
	return checkFile(s.file.Name(), want)
}

// remove closes and deletes the file.
func (s *sink) remove() {
	_ = s.file.Close()
	_ = os.Remove(s.file.Name())
}

// checkFile compares a file with what was sent.
func checkFile(path string, want File) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	return sameHash(h, want)
}

func sameHash(h hash.Hash, want File) error {
	if got := hex.EncodeToString(h.Sum(nil)); got != want.SHA256 {
		return fmt.Errorf("what arrived has the hash %s, what was sent %s", got, want.SHA256)
	}
	return nil
}
