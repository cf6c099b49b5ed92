package telemetry

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/videoactivmail/vam"
)

// LogOptions say how a log looks.
type LogOptions struct {
	// JSON writes one JSON object for each event instead of key=value text.
	JSON bool
	// Level is the least level that is written; nil is Info. A *slog.LevelVar can
	// be changed while the server runs.
	Level slog.Leveler
}

// NewLogger writes events to w, one line each, with one Write call for each line.
// Whatever looks like a credential is removed from messages and attributes (Redact).
func NewLogger(w io.Writer, o LogOptions) *slog.Logger {
	ho := &slog.HandlerOptions{Level: o.Level, ReplaceAttr: redactAttr}
	if o.JSON {
		return slog.New(slog.NewJSONHandler(w, ho))
	}
	return slog.New(slog.NewTextHandler(w, ho))
}

// ParseLevel reads debug, info, warn or error. Errors: Invalid.
func ParseLevel(s string) (slog.Level, error) {
	var l slog.Level
	switch s {
	case "debug", "info", "warn", "error":
		if err := l.UnmarshalText([]byte(s)); err == nil {
			return l, nil
		}
	}
	return 0, vam.Errorf(vam.Invalid, "%q is not a log level: debug, info, warn or error is wanted", s)
}

// redactAttr is called for every attribute but groups, the message included.
func redactAttr(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(Redact(a.Value.String()))
	case slog.KindAny:
		switch v := a.Value.Any().(type) {
		case *slog.Source, slog.Level:
		case error:
			a.Value = slog.StringValue(Redact(v.Error()))
		default:
			text := fmt.Sprintf("%+v", v)
			if clean := Redact(text); clean != text {
				a.Value = slog.StringValue(clean)
			}
		}
	}
	return a
}
