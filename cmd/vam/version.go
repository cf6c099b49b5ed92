package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

type versionCmd struct{}

// version is what `vam version --json` prints; keys are stable.
type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`     // of the revision, RFC 3339
	Modified bool   `json:"modified,omitempty"` // the tree had changes that are not in the revision
	Protocol string `json:"protocol"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// buildVersion reads what the Go command recorded in the program.
func buildVersion() version {
	v := version{Version: "unknown", Protocol: "VAM/1", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func (versionCmd) Help() string {
	return `Examples:

    vam version
    vam version --json`
}

func (versionCmd) Run(e *env) error {
	v := buildVersion()
	if e.JSON {
		return e.printJSON(v)
	}
	printVersion(e.out, v)
	return nil
}

func printVersion(w io.Writer, v version) {
	fmt.Fprintf(w, "vam %s, speaks %s\n", v.Version, v.Protocol)
	if v.Revision != "" {
		changed := ""
		if v.Modified {
			changed = ", with local changes"
		}
		fmt.Fprintf(w, "revision %s of %s%s\n", v.Revision, v.Time, changed)
	}
	fmt.Fprintf(w, "built by %s for %s\n", v.Go, v.Platform)
}
