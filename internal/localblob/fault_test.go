//go:build fault

package localblob_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"testing"

	"github.com/videoactivmail/vam/internal/fault"
)

// points are the names in the package's own source, so that a new one is tested
// without being told.
func points(t *testing.T) []string {
	files, err := filepath.Glob("*.go")
	check(t, err)
	var names []string
	for _, file := range files {
		src, err := os.ReadFile(file)
		check(t, err)
		for _, m := range regexp.MustCompile(`fault\.Point\("([^"]+)"\)`).FindAllSubmatch(src, -1) {
			names = append(names, string(m[1]))
		}
	}
	slices.Sort(names)
	if len(names) < 5 || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Fatalf("fault points %q: too few, or one name twice", names)
	}
	return names
}

// TestKilledAtEveryPoint lets the child kill itself at each point, at the first, a
// middle and a late hit.
func TestKilledAtEveryPoint(t *testing.T) {
	for _, point := range points(t) {
		t.Run(point, func(t *testing.T) {
			dir := t.TempDir()
			var promises []string
			for _, hit := range []int{1, 4, 15} {
				v := startVictim(t, dir, fmt.Sprintf("%s=%s=crash@%d", fault.Env, point, hit))
				err := v.reap()
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
					t.Fatalf("the child ended with %v, want the kill at hit %d", err, hit)
				}
				promises = append(promises, v.promises...)
				checkPromises(t, dir, promises)
			}
		})
	}
}
