package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// dieWithUs ends the process when the test's ends, however that comes about.
func dieWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// Freeze stops every thread of the process where it is; Kill ends it.
func (s *Server) Freeze() {
	s.w.T.Helper()
	s.w.must(s.proc.cmd.Process.Signal(syscall.SIGSTOP))
	for end := time.Now().Add(startWithin); !stopped(s.proc.cmd.Process.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.w.T.Fatalf("%s does not freeze", s.Domain)
		}
	}
}

// stopped reports whether no thread of a process runs (proc_pid_stat(5)).
func stopped(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		return false
	}
	for _, name := range threads {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		_, state, ok := strings.Cut(string(b), ") ") // the name before may hold anything
		if !ok || !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}
