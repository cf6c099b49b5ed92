package blob

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/videoactivmail/vam"
)

// hashStep is how much is read before it is hashed: small enough to be still in the
// processor's cache, large enough that the calls do not count.
const hashStep = 128 << 10

// ReceivePart reads exactly length octets from r and returns them when their
// SHA-256 is want. This is the one door for bytes that somebody else sent: nothing
// that came out of it unverified can be written anywhere. The slice comes from pool
// and goes back there with pool.Put when it has been written; pool may be nil.
// Whoever calls bounds length first (AM-10.1); the buffer is taken at once.
//
// Errors: Corrupt when the hash differs; Invalid for a negative length; an error of
// r that is classified keeps its kind, any other and an early end are Unavailable,
// because they say nothing about the part: ask again.
func ReceivePart(r io.Reader, want Sum, length int64, pool *Buffers) ([]byte, error) {
	if length < 0 {
		return nil, vam.Errorf(vam.Invalid, "a part has a length of %d octets", length)
	}
	p := pool.Get(int(length))
	if err := readVerified(r, p, want); err != nil {
		pool.Put(p)
		return nil, err
	}
	return p, nil
}

func readVerified(r io.Reader, p []byte, want Sum) error {
	h := sha256.New()
	for done := 0; done < len(p); {
		step := p[done:min(len(p), done+hashStep)]
		n, err := io.ReadFull(r, step)
		done += n
		if err != nil {
			return errRead(err, done, len(p))
		}
		h.Write(step)
	}
	var got Sum
	h.Sum(got[:0])
	if got != want {
		return errDigest(want, got)
	}
	return nil
}

// Check returns Corrupt unless the SHA-256 of p is want: for bytes that were read
// elsewhere, so that hashing and the socket can run on two cores.
func Check(p []byte, want Sum) error {
	if got := Sum(sha256.Sum256(p)); got != want {
		return errDigest(want, got)
	}
	return nil
}

func errDigest(want, got Sum) error {
	return vam.Wrap(vam.Corrupt, fmt.Errorf("hash is %x", got[:]),
		"the bytes of part %x… do not match their hash; send them again", want[:6]).WithProblem("digest-mismatch")
}

func errRead(err error, got, want int) error {
	var classified *vam.Error
	if errors.As(err, &classified) {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.ErrUnexpectedEOF
	}
	return vam.Wrap(vam.Unavailable, err, "a part ended after %d of %d octets; ask for it again", got, want)
}
