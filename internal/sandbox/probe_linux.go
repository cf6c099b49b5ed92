package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
)

// tryBound is the memory of an attempt; the Go of the attempt needs some of it.
const tryBound = 4 << 30

// attempt says how a layer is tried: alone, by what it should stop.
type attempt struct {
	layer LayerName
	what  string
	arg   string
	stops string
}

// probe tries every layer that is not left out.
func probe(ctx context.Context, without []LayerName) []Layer {
	var out []Layer
	for _, n := range LayerNames() {
		l := Layer{Name: n, Detail: "left out"}
		out = append(out, l)
	}
	attempts, free, err := prepare()
	if err != nil {
		for i := range out {
			out[i].Detail = err.Error()
		}
		return out
	}
	defer free()
	var group sync.WaitGroup
	for i, a := range attempts {
		if !slices.Contains(without, a.layer) {
			group.Go(func() { out[i] = a.run(ctx) })
		}
	}
	group.Wait()
	return out
}

// prepare makes the secret and the listener that no program should reach. The attempts
// stand in the order of LayerNames.
func prepare() ([]attempt, func(), error) {
	dir, err := os.MkdirTemp("", "vam-sandbox-")
	if err != nil {
		return nil, nil, err
	}
	secret := filepath.Join(dir, "secret")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		err = os.WriteFile(secret, []byte("secret"), 0o600)
	}
	free := func() {
		if listener != nil {
			listener.Close()
		}
		os.RemoveAll(dir)
	}
	if err != nil {
		free()
		return nil, nil, err
	}
	files := "files"
	if abi, err := landlockABI(); err == nil {
		files = fmt.Sprintf("files (version %d)", abi)
	}
	return []attempt{
		{Limits, "memory", "-", "memory, processor time, size of files"},
		{Privileges, "privileges", "-", "capabilities and new privileges"},
		{Landlock, "read", secret, files},
		{Seccomp, "socket", "-", "sockets, processes, tracing, mounts and other calls"},
		{Namespaces, "dial", listener.Addr().String(), "the network and other processes"},
		{Mounts, "read", secret, "files"},
	}, free, nil
}

// run makes the attempt with the one layer.
func (a attempt) run(ctx context.Context) Layer {
	self, err := os.Executable()
	if err != nil {
		return Layer{Name: a.layer, Detail: err.Error()}
	}
	var said bytes.Buffer
	p := &plan{
		Path: self, Args: []string{self, tryArgument, a.what, a.arg}, Env: []string{"GOMAXPROCS=1"}, Read: libraries(),
		Execute: append([]string{self}, loader(self)...), Bounds: Bounds{Memory: tryBound, Wall: 20 * time.Second}, Layers: []LayerName{a.layer},
	}
	_, err = start(ctx, p, &said, nil)
	var x *Exit
	switch {
	case errors.As(err, &x) && x.Code == tryStopped:
		return Layer{Name: a.layer, Active: true, Detail: "stops " + a.stops}
	case errors.As(err, &x) && x.Code == tryWorked:
		return Layer{Name: a.layer, Detail: "did not stop an attempt"}
	}
	return Layer{Name: a.layer, Detail: explain(err)}
}

// explain is the operator's text of an error.
func explain(err error) string {
	if err == nil {
		return "the attempt said nothing"
	}
	var e *vam.Error
	if errors.As(err, &e) && e.Cause != nil {
		return strings.TrimSpace(e.Cause.Error())
	}
	return err.Error()
}
