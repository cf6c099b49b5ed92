package playback

import (
	"io"

	"github.com/videoactivmail/vam/internal/media"
)

// FromHead says what a recording of size octets is from its head alone, without a process, as
// the service does before it asks a Maker. Any error means that this is not known in this
// way.
func FromHead(r io.ReaderAt, size int64) (media.Info, error) {
	info, _, err := readHead(r, size)
	return info, err
}
