package userapi_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/videoactivmail/vam/internal/message"
)

func mustKey(t *testing.T, s string) message.Key {
	t.Helper()
	k, err := message.ParseKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// holds reports whether a file has the text in it.
func holds(t *testing.T, dir, name, text string) bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return bytes.Contains(b, []byte(text))
}
