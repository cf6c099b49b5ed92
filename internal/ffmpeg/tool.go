// Package ffmpeg asks ffprobe what a recording is and lets ffmpeg make what browsers need of
// it. Both read what strangers send, so both run in a sandbox, are told which container it
// is rather than guess, have a short list of decoders, and end at fixed bounds. Pictures
// leave ffmpeg as plain samples of a size that is known before; JPEG and GIF are written
// here.
package ffmpeg

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/sandbox"
)

// Options say where the programs are and how they are confined.
type Options struct {
	// FFmpeg and FFprobe are names or paths; "" is "ffmpeg" and "ffprobe".
	FFmpeg, FFprobe string
	// Box confines them; it must not be nil.
	Box *sandbox.Box
	// Threads is how many one process uses; 0 is two, or one on a machine with one.
	Threads int
}

// Find looks for the programs and puts their paths in the place of their names. Errors:
// NotFound (media.ReasonOf says NoFFmpeg).
func (o *Options) Find() error {
	for _, p := range []struct {
		path  *string
		usual string
	}{{&o.FFmpeg, "ffmpeg"}, {&o.FFprobe, "ffprobe"}} {
		path, err := exec.LookPath(cmp.Or(*p.path, p.usual))
		if err == nil {
			path, err = filepath.Abs(path)
		}
		if err != nil {
			return vam.Wrap(vam.NotFound, media.Refuse(media.NoFFmpeg, err), "%s is not installed on this server; without it recordings play only as they are", p.usual)
		}
		*p.path = path
	}
	return nil
}

// Tool runs ffprobe and ffmpeg. It may be used from several goroutines at once; each call is
// one to a few processes, which are gone when it returns.
type Tool struct {
	ffmpeg, ffprobe string
	box             *sandbox.Box
	threads         int
	version         string
}

// Open finds the programs and asks what they can do. Errors: NotFound when one is missing
// (media.ReasonOf says NoFFmpeg); Unavailable when there is no sandbox or they do not run.
func Open(ctx context.Context, o Options) (*Tool, error) {
	if o.Box == nil {
		return nil, media.Refuse(media.NoSandbox, nil)
	}
	t := &Tool{box: o.Box, threads: o.Threads}
	if t.threads == 0 {
		t.threads = min(2, runtime.NumCPU())
	}
	if err := o.Find(); err != nil {
		return nil, err
	}
	t.ffmpeg, t.ffprobe = o.FFmpeg, o.FFprobe
	return t, t.ask(ctx)
}

// ask finds out the version and what is built in.
func (t *Tool) ask(ctx context.Context) error {
	version, err := t.say(ctx, "-version")
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(version, "\n")
	if f := strings.Fields(line); len(f) > 2 {
		t.version = f[2]
	}
	encoders, err := t.say(ctx, "-encoders")
	if err != nil {
		return err
	}
	for _, want := range []string{" libx264 ", " aac "} {
		if !strings.Contains(encoders, want) {
			return vam.Wrap(vam.NotFound, media.Refuse(media.NoFFmpeg, errors.New("no encoder"+want)), "the ffmpeg of this server cannot write%s; install one that can", want)
		}
	}
	return nil
}

func (t *Tool) say(ctx context.Context, what string) (string, error) {
	out := &head{limit: 1 << 20}
	_, err := t.box.Run(ctx, sandbox.Command{Path: t.ffmpeg, Args: []string{"-hide_banner", what}, Stdout: out, Bounds: quickBounds()})
	if err != nil {
		return "", vam.Wrap(vam.Unavailable, err, "ffmpeg does not run on this server")
	}
	return out.String(), nil
}

// Version is that of ffmpeg, such as "5.1.9-0+deb12u1".
func (t *Tool) Version() string { return t.version }

// Box is the sandbox in which the programs run.
func (t *Tool) Box() *sandbox.Box { return t.box }

// The bounds of one process. The largest pictures that are decoded need most of the memory.
const (
	memory    = 4 << 30
	openFiles = 64
	tasks     = 256
)

// quickBounds are for what reads a beginning or reads through once.
func quickBounds() sandbox.Bounds {
	return sandbox.Bounds{Memory: memory, CPU: 2 * time.Minute, Wall: 2 * time.Minute, File: 64 << 20, Output: 128 << 20, Open: openFiles, Tasks: tasks}
}

// longBounds are for what decodes the whole recording. A machine that is thirty times
// slower than the recording plays does not make renditions of it.
func longBounds(i media.Info) sandbox.Bounds {
	b := quickBounds()
	b.Wall += 3*time.Minute + 30*i.Duration
	b.CPU += 6*time.Minute + 60*i.Duration
	b.File = i.LargestRendition()
	b.Output = b.File + vam.MiB
	return b
}

// head keeps the beginning of what is written and forgets the rest.
type head struct {
	bytes.Buffer
	limit int
}

// Write never fails.
func (h *head) Write(p []byte) (int, error) {
	if room := h.limit - h.Len(); room > 0 {
		h.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// judged turns the end of a process into the error of this package: what the recording did
// is permanent, what the machine did is not.
func judged(ctx context.Context, err error, said string) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return vam.Wrap(vam.Unavailable, context.Cause(ctx), "work on a recording was interrupted; it is done again")
	}
	said = strings.ToValidUTF8(strings.TrimSpace(said), "?")
	cause := errors.Join(err, errors.New(tail(said)))
	var x *sandbox.Exit
	switch {
	case !errors.As(err, &x):
		return err // not started
	case strings.Contains(said, "No space left on device"):
		return vam.Wrap(vam.Unavailable, cause, "the disk of this server is full; work on the recording is tried again")
	case slices.ContainsFunc([]string{"Permission denied", "No such file or directory", "Input/output error", "Too many open files"}, func(s string) bool { return strings.Contains(said, s) }):
		return vam.Wrap(vam.Unavailable, cause, "the recording cannot be read on this server; work on it is tried again")
	case x.Bound != "", strings.Contains(said, "Cannot allocate memory"):
		return media.Refuse(media.Expensive, cause)
	case x.Signal == "SIGKILL":
		return vam.Wrap(vam.Unavailable, cause, "work on a recording was ended from outside; it is tried again")
	case unable(said):
		return media.Refuse(media.Unsupported, cause)
	case encrypted(said):
		return media.Refuse(media.Encrypted, cause)
	}
	return media.Refuse(media.Broken, cause)
}

// unable finds out whether it was for want of a decoder or a filter: that is no damage.
func unable(said string) bool {
	return slices.ContainsFunc([]string{"not on whitelist", "Decoder (codec", "no decoder found", "hardware accelerated", "No such filter"}, func(s string) bool { return strings.Contains(said, s) })
}

// encrypted finds out by ffmpeg's complaints what its JSON does not say.
func encrypted(said string) bool { return strings.Contains(said, "encryption info") }

// tail is the end of a text, where ffmpeg says what it died of.
func tail(s string) string {
	const limit = 1000
	if len(s) > limit {
		s = "…" + s[len(s)-limit:]
	}
	return s
}
