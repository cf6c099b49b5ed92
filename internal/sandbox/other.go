//go:build !linux

package sandbox

import (
	"context"
	"runtime"

	"github.com/videoactivmail/vam"
)

// Main does nothing: no layer is written for this system.
func Main() Launcher { return Launcher{ready: true} }

func libraries() []string { return nil }

func probe(context.Context, []LayerName) []Layer {
	var out []Layer
	for _, n := range LayerNames() {
		out = append(out, Layer{Name: n, Detail: "not written for " + runtime.GOOS})
	}
	return out
}

func (b *Box) run(context.Context, Command) (Usage, error) {
	return Usage{}, vam.Errorf(vam.Unavailable, "programs are run on Linux only")
}
