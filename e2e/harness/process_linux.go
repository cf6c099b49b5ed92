package harness

import (
	"os/exec"
	"syscall"
)

// dieWithUs ends the process when the test's ends, however that comes about.
func dieWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
