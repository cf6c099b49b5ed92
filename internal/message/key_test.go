package message_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/videoactivmail/vam/internal/message"
)

// Whatever the format of a log is, a message is one word in it, to search for.
func TestKeyInLogs(t *testing.T) {
	k := message.Key{Origin: "a.example", ID: "0193ad7a-6d3c-7000-8000-000000000001"}
	var text, object bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("stored", "message", k)
	slog.New(slog.NewJSONHandler(&object, nil)).Info("stored", "message", k)
	if want := "message=" + k.String(); !strings.Contains(text.String(), want) {
		t.Errorf("no %s in %s", want, text.String())
	}
	if want := `"message":"` + k.String() + `"`; !strings.Contains(object.String(), want) {
		t.Errorf("no %s in %s", want, object.String())
	}
}
