package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Program is the vam command, built when a test first needs it. Make one per test run,
// and Remove it at the end. It is safe for concurrent use.
type Program struct {
	// Tags are build tags, such as "fault".
	Tags string

	once sync.Once
	dir  string
	path string
	err  error
}

// Path is the built program.
func (p *Program) Path(t testing.TB) string {
	t.Helper()
	p.once.Do(p.build)
	if p.err != nil {
		t.Fatal(p.err)
	}
	return p.path
}

func (p *Program) build() {
	root, err := Root()
	if err != nil {
		p.err = err
		return
	}
	if p.dir, p.err = os.MkdirTemp("", "vam-e2e-bin-"); p.err != nil {
		return
	}
	p.path = filepath.Join(p.dir, "vam")
	args := []string{"build", "-o", p.path}
	if Race {
		args = append(args, "-race")
	}
	if p.Tags != "" {
		args = append(args, "-tags", p.Tags)
	}
	cmd := exec.Command("go", append(args, "./cmd/vam")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		p.err = fmt.Errorf("the program cannot be built: %w\n%s", err, out)
	}
}

// Remove deletes the built program.
func (p *Program) Remove() error {
	if p.dir == "" {
		return nil
	}
	return os.RemoveAll(p.dir)
}

// Root is the folder of the module that the test runs in.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("there is no go.mod above the test")
		}
		dir = up
	}
}
