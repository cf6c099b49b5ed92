package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/videoactivmail/vam/internal/dnszone"
	"github.com/videoactivmail/vam/internal/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Main() // the test binary is the program that is confined, too
	testscript.Main(m, map[string]func(){"vam": main})
}

// Each script of testdata/script has a home and folders of its own. Beside the commands of
// testscript there are those of commands.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		WorkdirRoot:         inMemory(t),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                commands(),
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, "home")
			e.Setenv("HOME", home)
			e.Setenv("USER", "alice")
			e.Setenv("TMPDIR", filepath.Join(e.WorkDir, "tmp"))
			e.Setenv("TZ", "UTC")
			e.Setenv("TWO_LINES", "one\ntwo")
			e.Values[processKey("all")] = map[string]*process{}
			return errors.Join(os.MkdirAll(home, 0o700), os.MkdirAll(filepath.Join(e.WorkDir, "tmp"), 0o700))
		},
	})
}

// inMemory is a folder in memory, where the system has such a place: the scripts are not
// about disks.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "vam-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func commands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"exits":    exits,
		"servers":  startServers,
		"serve":    startServe,
		"finish":   stopProcess,
		"port":     freePortCmd,
		"dns":      startDNS,
		"mkfile":   makeFile,
		"jsonkeys": jsonKeys,
		"jsonenv":  jsonEnv,
		"until":    until,
		"occupy":   occupy,
	}
}

// exits CODE PROGRAM ARG...: the program ends with that status. The output is there for
// stdout and stderr.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s ended with status %d, not %d", strings.Join(args[1:], " "), got, want)
	}
}

// startServers [ARG...]: two servers as vam try makes them, below play, with further
// arguments. VAM_PROFILE names the accounts; A and B are the data folders.
func startServers(ts *testscript.TestScript, neg bool, args []string) {
	p := start(ts, "servers", append([]string{"try", "--port", "0", "--json", "--data", ts.MkAbs("play")}, args...)...)
	var r running
	if err := json.NewDecoder(p.out).Decode(&r); err != nil {
		p.fatal(ts, "the servers do not run: %v", err)
	}
	ts.Setenv("VAM_PROFILE", r.Profile)
	ts.Setenv("A", r.Servers[0].DataDir)
	ts.Setenv("B", r.Servers[1].DataDir)
	ts.Setenv("A_LISTEN", r.Servers[0].Listen)
	ts.Setenv("B_LISTEN", r.Servers[1].Listen)
	ts.Setenv("DNS", r.DNS)
}

// startServe NAME ARG...: vam ARG... in the background, ready when the supervisor's socket
// was told so.
func startServe(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: serve NAME ARG...")
	}
	dir, err := os.MkdirTemp("", "vam") // the path of a socket is short
	ts.Check(err)
	ts.Defer(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	ts.Check(err)
	ts.Defer(func() { _ = conn.Close() })
	ts.Setenv("NOTIFY_SOCKET", socket)
	p := start(ts, args[0], args[1:]...)
	ts.Setenv("NOTIFY_SOCKET", "")
	ts.Check(conn.SetReadDeadline(time.Now().Add(time.Minute)))
	told := make(chan error, 1)
	go func() { // ends with the deadline at the latest
		buf := make([]byte, 64)
		n, err := conn.Read(buf)
		if err == nil && !strings.Contains(string(buf[:n]), "READY=1") {
			err = fmt.Errorf("the supervisor was told %q", buf[:n])
		}
		told <- err
	}()
	select {
	case err := <-told:
		if err != nil {
			p.fatal(ts, "the server is not ready: %v", err)
		}
	case <-p.ended:
		p.fatal(ts, "the server ended")
	}
}

// process is one program in the background.
type process struct {
	cmd   *exec.Cmd
	out   *bufio.Reader
	err   *bytes.Buffer
	ended chan struct{}
	state error
	over  bool // stop was called
}

type processKey string

// start runs vam ARG... as the script would, until stop or the end of the script.
func start(ts *testscript.TestScript, name string, args ...string) *process {
	path, err := exec.LookPath("vam")
	if err != nil {
		path = lookIn(ts.Getenv("PATH"))
	}
	p := &process{cmd: exec.Command(path, args...), err: &bytes.Buffer{}, ended: make(chan struct{})}
	p.cmd.Dir = ts.MkAbs(".")
	for _, key := range []string{"HOME", "USER", "TMPDIR", "PATH", "TZ", "NOTIFY_SOCKET", "VAM_PROFILE"} {
		if v := ts.Getenv(key); v != "" {
			p.cmd.Env = append(p.cmd.Env, key+"="+v)
		}
	}
	p.cmd.Stderr = p.err
	r, w, err := os.Pipe()
	ts.Check(err)
	p.out, p.cmd.Stdout = bufio.NewReader(r), w
	ts.Check(p.cmd.Start())
	ts.Check(w.Close())
	go func() { p.state = p.cmd.Wait(); close(p.ended) }()
	processes(ts)[name] = p
	ts.Defer(func() {
		if !p.over {
			p.end(ts, syscall.SIGTERM)
		}
		_ = r.Close()
	})
	return p
}

func lookIn(path string) string {
	for _, dir := range filepath.SplitList(path) {
		if name := filepath.Join(dir, "vam"); isFile(name) {
			return name
		}
	}
	return "vam"
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

func (p *process) fatal(ts *testscript.TestScript, format string, args ...any) {
	_ = p.cmd.Process.Kill()
	<-p.ended
	ts.Fatalf("%s\n%s", fmt.Sprintf(format, args...), p.err)
}

// end sends the signal and wants the program to end in order.
func (p *process) end(ts *testscript.TestScript, s syscall.Signal) {
	p.over = true
	_ = p.cmd.Process.Signal(s)
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		p.fatal(ts, "it did not end after %s", s)
	}
	ts.Logf("[stderr of %s]\n%s", strings.Join(p.cmd.Args, " "), p.err)
	if p.state != nil {
		ts.Fatalf("%s ended with %v", strings.Join(p.cmd.Args, " "), p.state)
	}
}

func processes(ts *testscript.TestScript) map[string]*process {
	return ts.Value(processKey("all")).(map[string]*process)
}

// finish NAME [SIGNAL]: SIGTERM, or another signal; the program ends with status 0.
func stopProcess(ts *testscript.TestScript, neg bool, args []string) {
	p := processes(ts)[args[0]]
	if p == nil {
		ts.Fatalf("there is no process %s", args[0])
	}
	s := syscall.SIGTERM
	if len(args) > 1 && args[1] == "INT" {
		s = syscall.SIGINT
	}
	p.end(ts, s)
}

// freePortCmd VAR: a port of 127.0.0.1 that TCP and UDP have free.
func freePortCmd(ts *testscript.TestScript, neg bool, args []string) {
	ts.Setenv(args[0], strconv.Itoa(int(freePort(netip.MustParseAddr("127.0.0.1")))))
}

// startDNS VAR [RECORD...]: a DNS server with these records in master file form; VAR is its
// address and port.
func startDNS(ts *testscript.TestScript, neg bool, args []string) {
	s, err := dnszone.Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	ts.Check(err)
	ts.Defer(func() { _ = s.Close() })
	ts.Setenv(args[0], s.Addr().String())
	for _, record := range args[1:] {
		name, _, _ := strings.Cut(record, " ")
		labels := strings.Split(strings.TrimSuffix(name, "."), ".")
		zone, err := s.Zone(strings.Join(labels[len(labels)-2:], "."))
		ts.Check(err)
		ts.Check(zone.Parse(record))
	}
}

// makeFile NAME SIZE: a file of that many octets that nothing else is equal to. NAME is a
// string of Go, so that it may hold any octets.
func makeFile(ts *testscript.TestScript, neg bool, args []string) {
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	name, err := strconv.Unquote(`"` + args[0] + `"`)
	ts.Check(err)
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i>>8 ^ i*7 ^ i>>16)
	}
	ts.Check(os.WriteFile(ts.MkAbs(name), data, 0o644))
}

// jsonKeys FILE KEY...: FILE holds one JSON object with exactly these keys.
func jsonKeys(ts *testscript.TestScript, neg bool, args []string) {
	var v map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
	for _, key := range args[1:] {
		if _, ok := v[key]; !ok {
			ts.Fatalf("%s has no key %q", args[0], key)
		}
		delete(v, key)
	}
	for key := range v {
		ts.Fatalf("%s has a key %q", args[0], key)
	}
}

// jsonEnv FILE VAR PATH...: VAR is the text at a path of keys and list indexes.
func jsonEnv(ts *testscript.TestScript, neg bool, args []string) {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
	for _, step := range args[2:] {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i, err := strconv.Atoi(step)
			ts.Check(err)
			if i >= len(x) {
				ts.Fatalf("the list has %d elements", len(x))
			}
			v = x[i]
		}
	}
	if v == nil {
		ts.Fatalf("there is nothing at %v", args[2:])
	}
	ts.Setenv(args[1], fmt.Sprint(v))
}

// until TEXT PROGRAM ARG...: runs the program until its output holds TEXT.
func until(ts *testscript.TestScript, neg bool, args []string) {
	deadline := time.Now().Add(time.Minute)
	for {
		_ = ts.Exec(args[1], args[2:]...)
		if strings.Contains(ts.ReadFile("stdout"), args[0]) != neg {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%q did not come", args[0])
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// occupy PORT: this process listens on the TCP port of 127.0.0.1.
func occupy(ts *testscript.TestScript, neg bool, args []string) {
	ln, err := net.Listen("tcp", "127.0.0.1:"+args[0])
	ts.Check(err)
	ts.Defer(func() { _ = ln.Close() })
}
