//go:build fault

package localblob_test

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"testing"

	"github.com/videoactivmail/vam/internal/fault"
	"github.com/videoactivmail/vam/internal/fault/faulttest"
)

// TestKilledAtEveryPoint lets the child kill itself at each point, at the first, a
// middle and a late hit.
func TestKilledAtEveryPoint(t *testing.T) {
	for _, point := range faulttest.Points(t, 5) {
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
