package activmail

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/videoactivmail/vam"
)

// LogType is the media type of a piece of a log: lines that each end in LF, one empty
// line, then the checkpoint to the end (AM-7.4).
const LogType = "application/vnd.vam.log"

// AppendLogLine appends one line of a log body to dst.
func AppendLogLine(dst, line []byte) []byte { return append(append(dst, line...), '\n') }

// AppendLogEnd appends the empty line and the checkpoint to dst.
func AppendLogEnd(dst, checkpoint []byte) []byte { return append(append(dst, '\n'), checkpoint...) }

// LogDecoder reads a log body as a stream in memory of one line and one checkpoint. It
// is not safe for concurrent use.
type LogDecoder struct {
	r          *bufio.Reader
	limits     Limits
	lines      int64
	checkpoint []byte
	err        error // what every further Next returns
}

// NewLogDecoder reads from r, which the caller closes.
func NewLogDecoder(r io.Reader, limits Limits) *LogDecoder {
	size := max(int(limits.Line)+1, 16)
	return &LogDecoder{r: bufio.NewReaderSize(r, size), limits: limits}
}

// Next returns the next line without LF, valid until the next call. io.EOF says that
// all lines were read and that Checkpoint is there. A body that ends before its
// checkpoint is io.ErrUnexpectedEOF: the lines that came before it are complete and may
// be kept, to be checked under a later checkpoint (AM-7.7). Errors also: Invalid
// (malformed), TooLarge, and those of the reader.
func (d *LogDecoder) Next() ([]byte, error) {
	if d.err != nil {
		return nil, d.err
	}
	line, err := d.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, d.fail(tooLarge("log line", d.limits.Line))
	case errors.Is(err, io.EOF):
		return nil, d.fail(io.ErrUnexpectedEOF)
	case err != nil:
		return nil, d.fail(err)
	}
	line = line[:len(line)-1]
	if len(line) == 0 {
		return nil, d.fail(d.readCheckpoint())
	}
	if line[0] != '{' || line[len(line)-1] != '}' || bytes.IndexByte(line, '\r') >= 0 {
		return nil, d.fail(malformed("line %d of the log body is not one JSON object", d.lines))
	}
	if d.lines++; d.lines > d.limits.Lines {
		return nil, d.fail(vam.Errorf(vam.TooLarge, "the log has more than the %d lines that are the limit here", d.limits.Lines).WithProblem("too-large"))
	}
	return line, nil
}

func (d *LogDecoder) fail(err error) error {
	d.err = err
	return err
}

func (d *LogDecoder) readCheckpoint() error {
	limit := int64(d.limits.Checkpoint)
	b, err := io.ReadAll(io.LimitReader(d.r, limit+1))
	switch {
	case err != nil:
		return err
	case int64(len(b)) > limit:
		return tooLarge("checkpoint", d.limits.Checkpoint)
	case !endsInSignature(b):
		return io.ErrUnexpectedEOF
	}
	d.checkpoint = b
	return io.EOF
}

// endsInSignature reports whether a checkpoint reaches to the end of a line behind its
// empty line: one that was cut at another line end is as good as none.
func endsInSignature(b []byte) bool {
	_, sigs, ok := bytes.Cut(b, []byte("\n\n"))
	return ok && len(sigs) > 0 && sigs[len(sigs)-1] == '\n'
}

// Lines is the number of lines that Next returned.
func (d *LogDecoder) Lines() int64 { return d.lines }

// Checkpoint is the checkpoint text after Next returned io.EOF; nil before. It is not
// verified yet: see [OpenCheckpoint].
func (d *LogDecoder) Checkpoint() []byte { return d.checkpoint }
