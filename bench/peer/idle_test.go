package peer_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/videoactivmail/vam/bench/peer"
)

// TestIdleProcess is the bare server in a process of its own when the variable is
// set.
func TestIdleProcess(t *testing.T) {
	if network := os.Getenv("IDLE_NETWORK"); network != "" {
		if err := peer.ServeIdle(t.Context(), network, os.Stdin, os.Stdout); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCrowd(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(self, "-test.run=^TestIdleProcess$")
			cmd.Env = append(os.Environ(), "IDLE_NETWORK="+network)
			s, err := peer.StartIdle(t.Context(), cmd)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Stop()
			c, err := peer.NewCrowd(t.Context(), network, s.Addr, "peer.test", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}()
			for range 2 {
				if err := c.Grow(t.Context(), 10); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
