package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/sandbox"
)

// env is the world as one command sees it. Tests bring their own.
type env struct {
	*globals

	in       io.Reader
	out, err io.Writer
	// inTTY, outTTY and errTTY say whether a person sits there.
	inTTY, outTTY, errTTY bool
	environ               []string
	getenv                func(string) string
	uid                   int
	sandbox               sandbox.Launcher
}

// system is the real world.
func system() *env {
	return &env{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		inTTY: isTerminal(os.Stdin), outTTY: isTerminal(os.Stdout), errTTY: isTerminal(os.Stderr),
		environ: os.Environ(), getenv: os.Getenv, uid: os.Geteuid(),
	}
}

// isTerminal is false for TERM=dumb as well: what it decides is cursor movement.
func isTerminal(f *os.File) bool {
	return term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// place is where the configuration of this command line is.
func (e *env) place() config.Place {
	return config.Place{File: e.ConfigFile, DataDir: e.Data, Getenv: e.getenv, UID: e.uid}
}

// loadConfig reads the configuration with the flags of the command line. A
// configuration that the environment gives completely needs no file.
func (e *env) loadConfig() (*config.Effective, error) {
	o := config.Options{File: e.place().Path(), DataDir: e.Data, Environ: e.environ}
	if e.LogLevel != "" {
		o.Environ = append(o.Environ[:len(o.Environ):len(o.Environ)], config.EnvPrefix+"LOG_LEVEL="+e.LogLevel)
	}
	chosen := e.ConfigFile != "" || e.getenv(config.EnvPrefix+"CONFIG") != ""
	if _, err := os.Stat(o.File); os.IsNotExist(err) && !chosen && e.getenv(config.EnvPrefix+"DOMAIN") != "" {
		if o.DataDir == "" && e.getenv(config.EnvPrefix+"DATA_DIR") == "" {
			o.DataDir = filepath.Dir(o.File)
		}
		o.File = ""
	}
	return config.Load(o)
}

// printJSON writes one indented JSON document.
func (e *env) printJSON(v any) error {
	enc := json.NewEncoder(e.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// results is standard output. It remembers the first failure, so that a command need not
// look at every line that it prints.
type results struct {
	w   io.Writer
	err error
}

// Write fails with an outputError.
func (r *results) Write(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.w.Write(p)
	if err != nil {
		r.err = &outputError{err}
		return n, r.err
	}
	return n, nil
}

// outputError is a failure of standard output.
type outputError struct{ cause error }

func (o *outputError) Error() string { return "standard output: " + o.cause.Error() }
func (o *outputError) Unwrap() error { return o.cause }

// home is the folder of the person who runs the program. Errors: Invalid.
func (e *env) home() (string, error) {
	if h := e.getenv("HOME"); filepath.IsAbs(h) {
		return h, nil
	}
	return "", vam.Errorf(vam.Invalid, "HOME is not set; set it, or VAM_PROFILE to the file of your accounts")
}

// note tells a person something beside the result.
func (e *env) note(format string, args ...any) {
	if !e.Quiet {
		fmt.Fprintf(e.err, format+"\n", args...)
	}
}

// done says that something was done: a line for a person, {"ok":true} for a program.
func (e *env) done(format string, args ...any) error {
	if e.JSON {
		return e.printJSON(map[string]bool{"ok": true})
	}
	e.note("%s", safe(fmt.Sprintf(format, args...)))
	return nil
}
