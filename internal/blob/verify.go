package blob

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"

	"github.com/videoactivmail/vam"
)

// Digest is the SHA-256 of the n octets of obj from off on, read in bounded memory.
// Corrupt when the object is shorter; the error of ctx when it ends; Unavailable
// when the disk cannot read.
func Digest(ctx context.Context, obj Object, off, n int64) (Sum, error) {
	r := obj.Reader(off, n)
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(ctxWriter{ctx, h}, r); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return Sum{}, vam.Wrap(vam.Corrupt, err, "the stored media ends before octet %d", off+n)
		}
		return Sum{}, err
	}
	var sum Sum
	h.Sum(sum[:0])
	return sum, nil
}

// VerifyRange reports whether the n octets of obj from off on are there and have the
// SHA-256 want. Errors: those of ctx and of a disk that cannot read; they leave the
// question open. The answer is what a reader would get now, not what a power cut
// would leave: a span that is found good after a restart is durable only after a
// Sync.
func VerifyRange(ctx context.Context, obj Object, off, n int64, want Sum) (bool, error) {
	got, err := Digest(ctx, obj, off, n)
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return false, nil
		}
		return false, err
	}
	return got == want, nil
}

// ctxWriter stops a copy between two buffers when ctx ends.
type ctxWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c ctxWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}
