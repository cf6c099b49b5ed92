package userapi

import "github.com/videoactivmail/vam/internal/userwire"

// SpanOf is spanOf.
func SpanOf(header string, size int64, final bool) (from, to int64, ranged bool, err error) {
	s, err := spanOf(header, size, final)
	return s.from, s.to, s.ranged, err
}

// Preview is preview.
func Preview(subject, text string) (string, string) { return preview(subject, text) }

// DraftOf reads fields of a form, and makes the draft of them.
func DraftOf(fields [][2]string) error {
	var w userwire.Draft
	for _, f := range fields {
		if err := formField(&w, f[0], f[1]); err != nil {
			return err
		}
	}
	_, err := draft(w)
	return err
}
