package isobmff

import (
	"fmt"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/media"
)

const maxTracks = media.MaxTracks

// Missing says that octets of the file which Read needs have not arrived. Its kind is
// Unavailable.
type Missing struct {
	// Offset and Size are the range to ask for next. It may reach further than what turns
	// out to be needed.
	Offset, Size int64
	// Least is how much of it is needed before another try can see more.
	Least int64
	// Cause is what the reader said.
	Cause error
}

// Error is for logs.
func (m *Missing) Error() string {
	return fmt.Sprintf("octets %d to %d have not arrived", m.Offset, m.Offset+m.Size)
}

// Unwrap gives the kind and the cause.
func (m *Missing) Unwrap() error {
	return vam.Wrap(vam.Unavailable, m.Cause, "the recording has not arrived so far that it can be played")
}

// notHere is the error for what is no ISO base media at all.
func notHere() error {
	return vam.Errorf(vam.NotFound, "this is not an MP4 or QuickTime file")
}

// broken is the error for a damaged file; where is the box that is wrong.
func broken(where box, format string, args ...any) error {
	return vam.Wrap(vam.Invalid, media.Refuse(media.Broken, nil),
		"the file is damaged: in the box %s at octet %d %s", where.kind, where.at, fmt.Sprintf(format, args...))
}

// over is the error for a limit that the file passes.
func over(format string, args ...any) error {
	return vam.Wrap(vam.TooLarge, media.Refuse(media.TooLarge, nil),
		"the file has more than %s, the limit of this server", fmt.Sprintf(format, args...))
}
