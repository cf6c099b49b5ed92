package race

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Machine says where figures come from. Every field is for people.
type Machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Memory     string `json:"memory"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	Congestion string `json:"congestion"` // the system's default
}

// Here describes this machine, as far as Linux tells.
func Here() Machine {
	return Machine{
		CPU:        field("/proc/cpuinfo", "model name"),
		Cores:      runtime.NumCPU(),
		Memory:     field("/proc/meminfo", "MemTotal"),
		Kernel:     line("/proc/sys/kernel/osrelease"),
		Go:         runtime.Version(),
		Congestion: line("/proc/sys/net/ipv4/tcp_congestion_control"),
	}
}

// String is the machine in one line.
func (m Machine) String() string {
	return fmt.Sprintf("%s × %d, %s, Linux %s, %s, default congestion control %s", m.CPU, m.Cores, m.Memory, m.Kernel, m.Go, m.Congestion)
}

// load is how busy the machine was in the last 1, 5 and 15 minutes.
func load() string {
	f := strings.Fields(line("/proc/loadavg"))
	return strings.Join(f[:min(3, len(f))], " ")
}

func line(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

func field(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(k) == name {
			return strings.Join(strings.Fields(v), " ")
		}
	}
	return "unknown"
}

// Report is one run of the benchmarks.
type Report struct {
	When    time.Time `json:"when"`
	Machine Machine   `json:"machine"`
	Options string    `json:"options"` // the command line
	Results []Result  `json:"results"`
}

// The files that Save writes.
const (
	LatestJSON = "latest.json"
	LatestText = "latest.md"
)

// Save writes the report into dir: LatestJSON for programs, LatestText for people.
// Figures that are there from before and are not in r stay, with the time at which
// they were measured. It returns what it wrote.
func (r Report) Save(dir string) (Report, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return r, err
	}
	name := filepath.Join(dir, LatestJSON)
	if b, err := os.ReadFile(name); err == nil {
		var old Report
		if err := json.Unmarshal(b, &old); err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
		r.Results = merge(old.Results, r.Results)
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return r, err
	}
	return r, errors.Join(
		os.WriteFile(name, append(b, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, LatestText), []byte(r.Markdown()), 0o644),
	)
}

// merge puts fresh results in the places of old ones of the same name.
func merge(old, fresh []Result) []Result {
	out := slices.Clone(old)
	for _, r := range fresh {
		i := slices.IndexFunc(out, func(o Result) bool { return o.Name == r.Name })
		if i < 0 {
			out = append(out, r)
			continue
		}
		out[i] = r
	}
	return out
}

// Print writes the table of a result for people.
func (r Result) Print(w io.Writer) error {
	better := "more is better"
	if r.Smaller {
		better = "less is better"
	}
	if _, err := fmt.Fprintf(w, "\n%s (%s, %s; %s)\n", r.Title, r.Unit, better, runs(r.Rounds)); err != nil {
		return err
	}
	if r.Setting != "" {
		if _, err := fmt.Fprintf(w, "  %s\n", r.Setting); err != nil {
			return err
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(t, "  \t%s\tratio\tmin–max\tcongestion\t\n", r.Unit)
	for _, row := range r.Rows {
		if row.Error != "" {
			_, _ = fmt.Fprintf(t, "  %s\t–\t–\t–\t%s\tnot measured: %s\n", row.Name, row.Congestion, row.Error)
			continue
		}
		_, _ = fmt.Fprintf(t, "  %s\t%s\t%.2f\t%s\t%s\t%s\n", row.Name, number(row.Median), row.Ratio, row.span(), row.Congestion, remarks(row))
	}
	for _, g := range r.Goals {
		_, _ = fmt.Fprintf(t, "  %s\n", g)
	}
	return t.Flush()
}

// String is the goal and what came of it in one sentence.
func (o Outcome) String() string { return "goal: " + o.aim() + ": " + o.verdict() }

// verdict says whether the goal is met, and by how much it is not.
func (o Outcome) verdict() string {
	if o.Measured == 0 {
		return "not measured"
	}
	word := "met"
	if !o.Met {
		off := o.Measured/o.Ratio - 1
		word = fmt.Sprintf("MISSED by %.0f %%", 100*max(off, -off))
	}
	return word + ", " + number(o.Measured)
}

// runs says what the value of a row is.
func runs(n int) string {
	if n == 1 {
		return "one run"
	}
	return fmt.Sprintf("median of up to %d", n)
}

// remarks are the further figures and the note of a row.
func remarks(r Row) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(r.Extra)) {
		parts = append(parts, k+" "+number(r.Extra[k]))
	}
	if r.Note != "" {
		parts = append(parts, r.Note)
	}
	return strings.Join(parts, "; ")
}

// number writes three or four significant digits without an exponent.
func number(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10 || v <= -10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v == 0:
		return "0"
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// short writes a goal's number.
func short(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
