//go:build fault

package fault_test

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/videoactivmail/vam/internal/fault"
)

func TestPointFailsAtTheChosenHit(t *testing.T) {
	defer fault.Set(fault.Rule{Name: "here", Err: syscall.EIO, From: 2, Only: true})()
	var got []bool
	for range 3 {
		got = append(got, errors.Is(fault.Point("here"), syscall.EIO))
	}
	if got[0] || !got[1] || got[2] {
		t.Errorf("failing hits %v, want the second alone", got)
	}
	if err := fault.Point("elsewhere"); err != nil {
		t.Errorf("another point: %v", err)
	}
}

func TestPointCrashes(t *testing.T) {
	const child = "FAULT_TEST_CHILD"
	if os.Getenv(child) != "" {
		fault.Point("die")
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestPointCrashes$")
	cmd.Env = append(os.Environ(), child+"=1", fault.Env+"=die=crash")
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("the child ended with %v, want a kill", err)
	}
	if ws := exit.Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGKILL {
		t.Errorf("the child ended with %v, want SIGKILL", ws)
	}
}
