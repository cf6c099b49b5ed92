package message

import (
	"hash"
	"io"

	"github.com/videoactivmail/vam/internal/blob"
)

// hashInto adds n octets of the media from off on to h.
func hashInto(h hash.Hash, obj blob.Object, off, n int64) error {
	r := obj.Reader(off, n)
	defer func() { _ = r.Close() }()
	got, err := io.Copy(h, r)
	if err == nil && got != n {
		err = io.ErrUnexpectedEOF
	}
	return err
}
