package activmail

import "io"

// LogType is the media type of a piece of a log: lines that each end in LF, one
// empty line, then the checkpoint to the end (AM-7.4).
const LogType = "application/vnd.vam.log"

// AppendLogLine appends one line of a log body to dst.
func AppendLogLine(dst, line []byte) []byte { return append(append(dst, line...), '\n') }

// AppendLogEnd appends the empty line and the checkpoint to dst.
func AppendLogEnd(dst, checkpoint []byte) []byte { return append(append(dst, '\n'), checkpoint...) }

// LogDecoder reads a log body as a stream in bounded memory. It is not safe for
// concurrent use.
type LogDecoder struct {
	r      io.Reader
	limits Limits
}

// NewLogDecoder reads from r, which the caller closes.
func NewLogDecoder(r io.Reader, limits Limits) *LogDecoder { return &LogDecoder{r: r, limits: limits} }

// Next returns the next line without LF, valid until the next call. io.EOF says that
// all lines were read and that Checkpoint is available. Errors: Invalid (cut short,
// not a log), TooLarge, and those of the reader.
func (d *LogDecoder) Next() ([]byte, error) { return nil, io.EOF }

// Checkpoint is the checkpoint text after Next returned io.EOF; nil before. It is not
// verified yet: see [OpenCheckpoint].
func (d *LogDecoder) Checkpoint() []byte { return nil }
