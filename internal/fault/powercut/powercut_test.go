//go:build linux

package powercut_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/fault/powercut"
)

// The fixture is worth something only when it loses what was not flushed.
func TestCutLosesWhatWasNotFlushed(t *testing.T) {
	d := powercut.New(t, 16*vam.MiB)
	write := func(name string, flush bool) {
		f, err := os.Create(filepath.Join(d.Dir(), name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(name); err != nil {
			t.Fatal(err)
		}
		if flush {
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("flushed", true)
	write("dirty", false)
	d.Cut()
	d.Restore()
	if b, err := os.ReadFile(filepath.Join(d.Dir(), "flushed")); err != nil || string(b) != "flushed" {
		t.Errorf("what was flushed is %q, %v", b, err)
	}
	if b, err := os.ReadFile(filepath.Join(d.Dir(), "dirty")); err == nil && len(b) > 0 {
		t.Errorf("what was not flushed is still there: %q", b)
	}
}
