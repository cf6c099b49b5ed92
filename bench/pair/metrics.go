package pair

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/videoactivmail/vam"
)

// Metrics are the series of a domain by name with labels, as they are written.
type Metrics map[string]float64

// Sum adds up every series of that name whose labels contain all of the given
// `key="value"` texts.
func (m Metrics) Sum(name string, labels ...string) float64 {
	var sum float64
next:
	for series, v := range m {
		n, rest, _ := strings.Cut(series, "{")
		if n != name {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(rest, l) {
				continue next
			}
		}
		sum += v
	}
	return sum
}

// Metrics asks the domain for its counters.
func (d *Domain) Metrics(ctx context.Context) (Metrics, error) {
	body, err := d.operate(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	out := Metrics{}
	for s := bufio.NewScanner(strings.NewReader(body)); s.Scan(); {
		line := s.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			out[line[:at]] = v
		}
	}
	return out, nil
}

// operate makes one request to the operator's listener.
func (d *Domain) operate(ctx context.Context, path string) (string, error) {
	rt := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.place.dial(ctx, d.place.ops)
	}}
	defer rt.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.place.ops.String()+path, nil)
	if err != nil {
		return "", err
	}
	res, err := rt.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s of %s: %s\n%s", path, d.Name, res.Status, body)
	}
	return string(body), err
}

// Memory is what a process has and had in RAM.
type Memory struct{ Now, Peak vam.Bytes }

// Memory reads the resident size of the domain's process, and its greatest since the
// start (VmRSS and VmHWM of proc(5)).
func (d *Domain) Memory() (Memory, error) { return MemoryOf(d.cmd.Process.Pid) }

// MemoryOf reads that of any process.
func MemoryOf(pid int) (Memory, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return Memory{}, err
	}
	var m Memory
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kib, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "VmRSS:":
			m.Now = vam.Bytes(kib) * vam.KiB
		case "VmHWM:":
			m.Peak = vam.Bytes(kib) * vam.KiB
		}
	}
	if m.Peak == 0 {
		return m, fmt.Errorf("the kernel does not tell the memory of process %d", pid)
	}
	return m, nil
}

// Pid is the domain's process.
func (d *Domain) Pid() int { return d.cmd.Process.Pid }

// CPU is how many seconds of processor time the domain's process has used.
func (d *Domain) CPU() (float64, error) { return CPUOf(d.cmd.Process.Pid) }

// clockTick is the unit of times in /proc, whatever the kernel's own (proc(5)).
const clockTick = 100

// CPUOf is how many seconds of processor time a process has used.
func CPUOf(pid int) (float64, error) {
	f, err := stat(pid)
	if err != nil {
		return 0, err
	}
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / clockTick, nil
}

// stat reads the fields of /proc/pid/stat from the third on.
func stat(pid int) ([]string, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil, err
	}
	// The name of the program, in parentheses, may hold anything.
	_, rest, _ := strings.Cut(string(b[max(strings.LastIndex(string(b), ")"), 0):]), " ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return nil, fmt.Errorf("the kernel does not tell the times of process %d", pid)
	}
	return f, nil
}

// Family is a process and its children.
func Family(pid int) []int {
	out := []int{pid}
	all, err := os.ReadDir("/proc")
	if err != nil {
		return out
	}
	for _, e := range all {
		child, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if f, err := stat(child); err == nil && f[1] == strconv.Itoa(pid) {
			out = append(out, child)
		}
	}
	return out
}
