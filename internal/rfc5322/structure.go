package rfc5322

import (
	"bytes"
	"mime"
	"strings"

	"github.com/videoactivmail/vam"
)

// Limits of a mail's MIME structure (AM-10.16).
const (
	MaxLevels = 20   // multiparts and mails inside one another
	MaxParts  = 1000 // in the whole mail
)

// maxContentType is the longest Content-Type field of a part.
const maxContentType = 4 << 10

// CheckStructure refuses a mail whose parts are nested too deep or are too many, in
// one pass over the body: MIME parsers need time that grows with their product.
// Errors: Invalid, TooLarge.
func (m *Mail) CheckStructure() error {
	var s structure
	if err := s.enter(m.Get("Content-Type")); err != nil {
		return err
	}
	for rest := m.Body; len(rest) > 0; {
		line, after, _ := bytes.Cut(rest, []byte("\r\n"))
		if err := s.line(line); err != nil {
			return err
		}
		rest = after
	}
	return nil
}

// structure is where a pass over a MIME body stands.
type structure struct {
	levels []string // boundaries from the outside inwards; "" is a mail in a mail
	parts  int

	inHeader    bool   // of a part
	hasType     bool   // its Content-Type was seen
	inType      bool   // the last field was it, so it may go on
	contentType []byte // its value, unfolded
}

func (s *structure) line(line []byte) error {
	if level, end, ok := s.delimiter(line); ok {
		if end {
			s.levels, s.inHeader = s.levels[:level], false
			return nil
		}
		s.levels = s.levels[:level+1]
		if s.parts++; s.parts > MaxParts {
			return vam.Errorf(vam.TooLarge, "the mail has more than %d MIME parts, the limit of VAM/1", MaxParts)
		}
		s.begin()
		return nil
	}
	if !s.inHeader {
		return nil
	}
	if len(line) == 0 {
		s.inHeader = false
		return s.enter(string(s.contentType))
	}
	return s.field(line)
}

func (s *structure) begin() {
	s.inHeader, s.hasType, s.inType, s.contentType = true, false, false, nil
}

// field keeps the first Content-Type of a part.
func (s *structure) field(line []byte) error {
	switch fold := line[0] == ' ' || line[0] == '\t'; {
	case fold && s.inType:
		s.contentType = append(s.contentType, line...)
	case fold:
	default:
		name, value, _ := bytes.Cut(line, []byte(":"))
		s.inType = !s.hasType && strings.EqualFold(strings.TrimRight(string(name), " \t"), "Content-Type")
		if s.inType {
			s.hasType = true
			s.contentType = append(s.contentType, value...)
		}
	}
	if len(s.contentType) > maxContentType {
		return vam.Errorf(vam.TooLarge, "a Content-Type field of the mail is longer than %d octets, the limit of VAM/1", maxContentType)
	}
	return nil
}

// enter goes one level down where the content type has parts of its own.
func (s *structure) enter(contentType string) error {
	media, params, err := mime.ParseMediaType(contentType)
	boundary := params["boundary"]
	switch {
	case err != nil:
		return nil // shown as it is, by whoever shows it
	case strings.HasPrefix(media, "multipart/") && boundary != "":
		s.levels = append(s.levels, boundary)
	case media == "message/rfc822" || media == "message/global":
		s.levels = append(s.levels, "")
		s.begin()
	}
	if len(s.levels) > MaxLevels {
		return vam.Errorf(vam.TooLarge, "the mail has MIME parts nested deeper than %d levels, the limit of VAM/1", MaxLevels)
	}
	return nil
}

// delimiter finds the level whose boundary the line is, the innermost first, and
// whether the line ends that level (RFC 2046 section 5.1.1).
func (s *structure) delimiter(line []byte) (level int, end, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte("--"))
	if !ok {
		return 0, false, false
	}
	rest = bytes.TrimRight(rest, " \t")
	for i := len(s.levels) - 1; i >= 0; i-- {
		tail, ok := bytes.CutPrefix(rest, []byte(s.levels[i]))
		if !ok || s.levels[i] == "" {
			continue
		}
		if len(tail) == 0 || string(tail) == "--" {
			return i, len(tail) > 0, true
		}
	}
	return 0, false, false
}
