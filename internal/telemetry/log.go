package telemetry

import (
	"context"
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
// Attributes of the context (WithAttrs) are added, and whatever looks like a
// credential is removed from messages and attributes (Redact).
func NewLogger(w io.Writer, o LogOptions) *slog.Logger {
	ho := &slog.HandlerOptions{Level: o.Level, ReplaceAttr: redactAttr}
	var inner slog.Handler = slog.NewTextHandler(w, ho)
	if o.JSON {
		inner = slog.NewJSONHandler(w, ho)
	}
	return slog.New(&handler{inner: inner})
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

type attrsKey struct{}

// WithAttrs returns a context whose attributes are written with every event that
// is logged under it. A front door adds the message and the peer once, and every
// service below it is then in the same search result. A later attribute of the
// same name stands beside the earlier one.
func WithAttrs(ctx context.Context, attrs ...slog.Attr) context.Context {
	before, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	all := make([]slog.Attr, 0, len(before)+len(attrs))
	return context.WithValue(ctx, attrsKey{}, append(append(all, before...), attrs...))
}

// Message is the attribute by which everything about one message is found in the
// log: origin domain and id as one word.
func Message(origin vam.Domain, id vam.MessageID) slog.Attr {
	return slog.String("message", origin.String()+"/"+string(id))
}

// handler adds the attributes of the context.
type handler struct{ inner slog.Handler }

func (h *handler) Enabled(ctx context.Context, l slog.Level) bool { return h.inner.Enabled(ctx, l) }

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if attrs, _ := ctx.Value(attrsKey{}).([]slog.Attr); len(attrs) > 0 {
		r = r.Clone()
		r.AddAttrs(attrs...)
	}
	return h.inner.Handle(ctx, r)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.inner.WithAttrs(attrs)}
}

func (h *handler) WithGroup(name string) slog.Handler { return &handler{h.inner.WithGroup(name)} }

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
