package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a running `vam serve`.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; valid after done
}

// LogFile is what the server has written.
func (s *Server) LogFile() string { return filepath.Join(s.w.dir, s.Domain.String()+".log") }

// Log is the content of LogFile.
func (s *Server) Log() string {
	s.w.T.Helper()
	b, err := os.ReadFile(s.LogFile())
	s.w.must(err)
	return string(b)
}

// Start runs the server as a process and returns when it answers.
func (s *Server) Start() {
	s.w.T.Helper()
	if err := s.TryStart(); err != nil {
		s.w.T.Fatalf("%s does not start: %v\n%s", s.Domain, err, tail(s.LogFile(), 20))
	}
}

// startWithin is how long a server may take to answer.
const startWithin = time.Minute

// TryStart is Start that returns why the server did not come up; an *exec.ExitError
// when it ended.
func (s *Server) TryStart() error {
	if s.Running() {
		return errors.New("it runs already")
	}
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(s.w.dir, s.Domain.String()+".ready")})
	if err != nil {
		return err
	}
	defer func() {
		_ = ready.Close()
		_ = os.Remove(filepath.Join(s.w.dir, s.Domain.String()+".ready"))
	}()
	log, err := os.OpenFile(s.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.w.program.Path(s.w.T), "--data", s.Dir, "serve")
	cmd.Env = s.environ("NOTIFY_SOCKET=" + ready.LocalAddr().String())
	cmd.Stdout, cmd.Stderr = log, log
	dieWithUs(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() { p.err = cmd.Wait(); close(p.done) }()
	answer := make(chan error, 1)
	go func() {
		_ = ready.SetReadDeadline(time.Now().Add(startWithin))
		_, err := ready.Read(make([]byte, 64))
		answer <- err
	}()
	select {
	case err := <-answer:
		if err != nil {
			_ = cmd.Process.Kill()
			<-p.done
			return fmt.Errorf("it did not answer in %v: %w", startWithin, err)
		}
		s.proc = p
		return nil
	case <-p.done:
		return cmp(p.err, errors.New("it ended before it answered"))
	}
}

func cmp(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// Kill ends the process as kill -9 does.
func (s *Server) Kill() {
	s.w.T.Helper()
	if s.proc == nil {
		s.w.T.Fatalf("%s does not run", s.Domain)
	}
	_ = s.proc.cmd.Process.Kill() // it may have ended by itself: a fault point
	<-s.proc.done
	s.proc = nil
}

// Ended is closed when the process has ended by itself, as at a fault point.
func (s *Server) Ended() <-chan struct{} { return s.proc.done }

// StopUnlessKilled is Stop for a server with a fault point ahead of it: it reports
// whether the point killed it before it had stopped.
func (s *Server) StopUnlessKilled() (killed bool) {
	s.w.T.Helper()
	p := s.proc
	s.waitProcess()
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		status, ok := exit.Sys().(syscall.WaitStatus)
		killed = ok && status.Signal() == syscall.SIGKILL
	}
	if p.err != nil && !killed {
		s.w.T.Errorf("%s ended with: %v", s.Domain, p.err)
	}
	return killed
}

func (s *Server) stopProcess() {
	s.w.T.Helper()
	p := s.proc
	s.waitProcess()
	if p.err != nil {
		s.w.T.Errorf("%s ended with: %v", s.Domain, p.err)
	}
}

// waitProcess asks the process to stop and waits until it has.
func (s *Server) waitProcess() {
	s.w.T.Helper()
	p := s.proc
	s.proc = nil
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.w.T.Errorf("stopping %s: %v", s.Domain, err)
	}
	select {
	case <-p.done:
	case <-time.After(startWithin):
		s.w.T.Errorf("%s did not stop in %v", s.Domain, startWithin)
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // its goroutines go to the log
		select {
		case <-p.done:
		case <-time.After(10 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
	}
	s.checkRaces()
}

// checkRaces looks for what the race detector wrote.
func (s *Server) checkRaces() {
	b, err := os.ReadFile(s.LogFile())
	if err != nil {
		return
	}
	if i := bytes.Index(b, []byte("WARNING: DATA RACE")); i >= 0 {
		s.w.T.Errorf("a data race in %s:\n%s", s.Domain, b[i:min(len(b), i+6000)])
	}
	for _, word := range []string{"panic:", "a handler panicked", "fatal error:"} {
		if i := bytes.Index(b, []byte(word)); i >= 0 {
			s.w.T.Errorf("a panic in %s:\n%s", s.Domain, b[i:min(len(b), i+3000)])
		}
	}
}

// Result is how a command ended.
type Result struct {
	Out, Err string
	Code     int
}

// Run runs a vam command to its end, with the data folder of the server.
func (s *Server) Run(args ...string) Result {
	s.w.T.Helper()
	return s.w.run(exec.Command(s.w.program.Path(s.w.T), append([]string{"--data", s.Dir}, args...)...), s.environ())
}

// Run runs a vam command to its end, without a data folder.
func (w *World) Run(args ...string) Result {
	w.T.Helper()
	s := &Server{w: w}
	return w.run(exec.Command(w.program.Path(w.T), args...), s.environ())
}

func (w *World) run(cmd *exec.Cmd, env []string) Result {
	w.T.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &errs, env
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.T.Fatal(err)
	}
	return Result{Out: out.String(), Err: errs.String(), Code: cmd.ProcessState.ExitCode()}
}

// Check reads every stored byte of the server against its hash and fails the test when
// something is damaged.
func (s *Server) Check() {
	s.w.T.Helper()
	r := s.Run("check", "--json")
	var report struct {
		Messages int   `json:"messages"`
		Damaged  []any `json:"damaged"`
	}
	if err := json.Unmarshal([]byte(r.Out), &report); err != nil {
		s.w.T.Fatalf("vam check of %s: %v\n%s%s", s.Domain, err, r.Out, r.Err)
	}
	if r.Code != 0 || len(report.Damaged) > 0 {
		s.w.T.Errorf("vam check of %s: exit status %d\n%s%s", s.Domain, r.Code, r.Out, r.Err)
	}
}

// tail is the last lines of a file.
func tail(path string, n int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
