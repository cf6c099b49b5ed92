package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/bench/race"
)

// bench is one run of the program.
type bench struct {
	short      bool
	runs       int
	congestion string
	program    string
	scratchIn  string
	results    string
	rows       string
	options    string

	log     io.Writer
	when    time.Time
	machine race.Machine
	root    string // of the module
	scratch string
	seed    byte
	shared  map[vam.Bytes]peer.File
	movies  map[peer.Movie]peer.File
	edition uint64
	room    vam.Bytes // of memory that is warm before each measurement
	tables  []race.Result
	failed  []string // figures that could not be measured
}

func (b *bench) open(ctx context.Context) error {
	if b.runs == 0 {
		if b.runs = 5; b.short {
			b.runs = 3
		}
	}
	if b.congestion == "" {
		if b.congestion = peer.DefaultCongestion(); slices.Contains(peer.Congestions(), "bbr") {
			b.congestion = "bbr"
		}
	}
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	b.root = filepath.Dir(strings.TrimSpace(string(out)))
	if b.scratch, err = os.MkdirTemp(b.scratchIn, "vambench-*"); err != nil {
		return err
	}
	// Postfix delivers as another user.
	if err := os.Chmod(b.scratch, 0o755); err != nil {
		return err
	}
	b.shared, b.movies = map[vam.Bytes]peer.File{}, map[peer.Movie]peer.File{}
	if b.program != "" {
		return nil
	}
	b.program = filepath.Join(b.scratch, "vam")
	build := exec.CommandContext(ctx, "go", "build", "-o", b.program, "./cmd/vam")
	build.Dir = b.root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building vam: %w\n%s", err, out)
	}
	return nil
}

func (b *bench) close() error {
	if b.scratch == "" {
		return nil
	}
	return os.RemoveAll(b.scratch)
}

// size is the larger one, or with -short the smaller.
func (b *bench) size(long, short vam.Bytes) vam.Bytes {
	if b.short {
		return short
	}
	return long
}

// file is one file of that size that contestants share.
func (b *bench) file(size vam.Bytes) (peer.File, error) {
	if f, ok := b.shared[size]; ok {
		return f, nil
	}
	f, err := peer.MakeFile(b.scratch, int64(size), 0)
	b.shared[size] = f
	return f, err
}

// fresh makes a file that no server has seen. The caller removes it.
func (b *bench) fresh(size vam.Bytes) (peer.File, error) {
	b.seed++
	return peer.MakeFile(b.scratch, int64(size), b.seed)
}

// start starts two domains of this program.
func (b *bench) start(ctx context.Context, o pair.Options) (*pair.Pair, error) {
	o.Program, o.Scratch = b.program, b.scratch
	if o.Congestion == "" {
		o.Congestion = b.congestion
	}
	return pair.Start(ctx, o)
}

// expect says how large the files are that are measured next: their receivers, and
// those around them, find that much memory warm.
func (b *bench) expect(size vam.Bytes) { b.room = min(2*size+256*vam.MiB, 3*vam.GiB) }

// settle comes right before whatever is timed.
func (b *bench) settle() { settle(b.scratch, b.room) }

// race runs one and keeps and prints its table.
func (b *bench) race(ctx context.Context, r race.Race, rounds int) error {
	if r.Before == nil {
		r.Before = b.settle
	}
	r.Contestants = slices.DeleteFunc(r.Contestants, func(c race.Contestant) bool { return !strings.Contains(c.Name, b.rows) })
	res, err := r.Run(ctx, rounds, b.log)
	if err != nil {
		return err
	}
	b.tables = append(b.tables, res)
	return res.Print(os.Stdout)
}

// report prints all goals together.
func (b *bench) report() error {
	fmt.Printf("\n%s\n", b.machine)
	for _, t := range b.tables {
		for _, g := range t.Goals {
			fmt.Printf("%-10s %s\n", t.Name, g)
		}
	}
	if len(b.failed) > 0 {
		return errors.New("not measured: " + strings.Join(b.failed, ", "))
	}
	return nil
}

// save writes what is measured so far.
func (b *bench) save() error {
	if b.results == "" || b.rows != "" {
		return nil
	}
	dir := b.results
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(b.root, dir)
	}
	_, err := race.Report{When: b.when, Machine: b.machine, Options: b.options, Results: b.tables}.Save(dir)
	return err
}
