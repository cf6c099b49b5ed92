// Package sandbox starts a foreign program so that it can do no harm: it sees its input,
// its libraries and its output folder, has no network, starts no other program, and stays
// within limits of memory, time and disk. The program of the caller is started again with a
// hidden argument, confines itself by several layers that do not depend on each other, and
// then becomes the foreign program; main and TestMain call Main first for that, and hand on
// what it returns. AM-14.2 asks for no less.
package sandbox

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
)

// LayerName names one way to confine a program.
type LayerName string

// The layers. Files are closed by Landlock and by Mounts, the network by Seccomp and by
// Namespaces; each is enough alone for its part.
const (
	Limits     LayerName = "limits"     // setrlimit: memory, processor time, size of files
	Privileges LayerName = "privileges" // no capabilities, and none to be gained
	Landlock   LayerName = "landlock"   // the kernel checks every path
	Seccomp    LayerName = "seccomp"    // system calls without which the program does
	Namespaces LayerName = "namespaces" // a user, network, process and IPC space of its own
	Mounts     LayerName = "mounts"     // a file system tree with nothing else in it
)

// LayerNames lists the layers in the order in which they are shown.
func LayerNames() []LayerName {
	return []LayerName{Limits, Privileges, Landlock, Seccomp, Namespaces, Mounts}
}

// Layer says whether one layer works on this machine, as it was seen when tried.
type Layer struct {
	Name   LayerName `json:"name"`
	Active bool      `json:"active"`
	// Detail is what the layer stopped, or why it is not there.
	Detail string `json:"detail"`
}

// Launcher is the proof that main called Main: without that, the child would be a second
// server or a second run of all tests. The zero value is no proof.
type Launcher struct{ ready bool }

// Options say how a Box is made.
type Options struct {
	// Launcher is what Main returned.
	Launcher Launcher
	// AllowUnconfined lets programs run even where neither files nor network can be closed.
	AllowUnconfined bool
	// Without leaves layers out; it is for tests of the others.
	Without []LayerName
	// Libraries are files and folders that programs may read besides the usual places of
	// shared libraries.
	Libraries []string
}

// Box starts programs with the layers that work here. It may be used from several
// goroutines at once.
type Box struct {
	layers    []Layer
	use       []LayerName
	libraries []string
}

// New tries the layers and keeps those that work. Errors: Unavailable when files or
// network would stay open and the options do not allow that.
func New(ctx context.Context, o Options) (*Box, error) {
	if !o.Launcher.ready {
		return nil, vam.Errorf(vam.Unavailable, "this program cannot confine others, because its main function does not call sandbox.Main")
	}
	b := &Box{libraries: append(libraries(), o.Libraries...)}
	for _, l := range probe(ctx, o.Without) {
		b.layers = append(b.layers, l)
		if l.Active {
			b.use = append(b.use, l.Name)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !o.AllowUnconfined && !b.confines() {
		return nil, vam.Errorf(vam.Unavailable, "programs cannot be confined on this machine (%s): the system must offer Landlock or user namespaces, or the settings must allow programs that are not confined", b.missing())
	}
	return b, nil
}

// Probe tries each layer alone and says what it did.
func Probe(ctx context.Context, l Launcher) []Layer {
	if l.ready {
		return probe(ctx, nil)
	}
	out := make([]Layer, 0, len(LayerNames()))
	for _, n := range LayerNames() {
		out = append(out, Layer{Name: n, Detail: "this program does not call sandbox.Main"})
	}
	return out
}

// Confined reports whether neither foreign files nor the network can be reached.
func (b *Box) Confined() bool { return b.confines() }

func (b *Box) confines() bool {
	return (b.uses(Landlock) || b.uses(Mounts)) && (b.uses(Seccomp) || b.uses(Namespaces))
}

func (b *Box) uses(n LayerName) bool {
	for _, u := range b.use {
		if u == n {
			return true
		}
	}
	return false
}

func (b *Box) missing() string {
	var out []string
	for _, l := range b.layers {
		if !l.Active {
			out = append(out, string(l.Name)+": "+l.Detail)
		}
	}
	return strings.Join(out, "; ")
}

// Bounds are what one run may use; 0 is no bound.
type Bounds struct {
	Memory vam.Bytes     // address space
	CPU    time.Duration // of all threads together, in whole seconds
	Wall   time.Duration
	File   vam.Bytes // largest file that is written
	Output vam.Bytes // all files in the output folder together
	Open   int       // open files
	Tasks  int       // threads; it holds only with Namespaces and for an ordinary user
	Nice   int       // 0 to 19: how far the program stands back for others; above 0 its start may take 0.4 s more
}

// Command is one run of a program.
type Command struct {
	// Path is the program; Args do not repeat it.
	Path string
	Args []string
	// Env is the whole environment; nil is none.
	Env []string
	// Read are files and folders that are read, besides the program and its libraries.
	Read []string
	// Dir is the folder that is read and written, where the program starts; "" is none.
	Dir            string
	Stdout, Stderr io.Writer
	Bounds         Bounds
}

// Usage is what a run took.
type Usage struct {
	CPU, Wall time.Duration
	Memory    vam.Bytes // the largest resident set
}

// Exit says how a program ended that did not end well.
type Exit struct {
	Code   int    // of the program; -1 when a signal ended it
	Signal string // "" when it ended by itself
	// Bound is the bound that it hit: "memory" is never seen, as programs notice it
	// themselves; "cpu", "wall", "file", "output"; "" for none.
	Bound string
}

// Error is for logs.
func (e *Exit) Error() string {
	switch {
	case e.Bound != "":
		return "stopped at the bound of " + e.Bound
	case e.Signal != "":
		return "ended by the signal " + e.Signal
	}
	return fmt.Sprintf("ended with status %d", e.Code)
}

// Run runs the program to its end. Errors: Unavailable when it could not be confined or
// started; an *Exit in the chain when it ended badly, TooLarge if it hit a bound and Invalid
// if not; the context's error when that ended. No process is left when Run returns.
func (b *Box) Run(ctx context.Context, c Command) (Usage, error) {
	if err := ctx.Err(); err != nil {
		return Usage{}, err
	}
	return b.run(ctx, c)
}
