package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
)

// The hidden first arguments of the caller's own program.
const (
	// Argument makes it confine itself and become another program.
	Argument = "sandbox-exec"
	// tryArgument makes it try what it should not be able to do.
	tryArgument = "sandbox-try"
)

// maxPlan bounds what the child reads, in octets.
const maxPlan = 1 << 20

// plan is what the child is told, through a pipe, so that no path shows in the table of
// processes before the program runs.
type plan struct {
	Path    string
	Args    []string // with the name of the program
	Env     []string
	Read    []string // files and folders
	Execute []string // files: the program and its loader
	Dir     string   // "" is none
	Bounds  Bounds
	Layers  []LayerName
}

func (p *plan) has(n LayerName) bool {
	for _, l := range p.Layers {
		if l == n {
			return true
		}
	}
	return false
}

func (p *plan) write(w io.Writer) error { return json.NewEncoder(w).Encode(p) }

func readPlan(r io.Reader) (*plan, error) {
	var p plan
	if err := json.NewDecoder(io.LimitReader(r, maxPlan)).Decode(&p); err != nil {
		return nil, fmt.Errorf("the plan: %w", err)
	}
	return &p, nil
}
