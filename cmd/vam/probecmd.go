package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/daemon"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/playback"
)

type probeCmd struct {
	File string `arg:"" help:"A recording."`
}

func (probeCmd) Help() string {
	return `Says what a server would do with a file: what it is, how it reaches a browser,
what would be made of it, or why it cannot be played. Nothing is sent. Files that
ffprobe has to look into are opened in the same sandbox as on a server.

Examples:

    vam probe holiday.mov
    vam probe holiday.mov --json`
}

// probed is what `vam probe --json` prints; keys are stable.
type probed struct {
	File     string     `json:"file"`
	Kind     vam.Kind   `json:"kind"` // video, voice or file
	Info     recording  `json:"info"`
	Play     media.Play `json:"play"`               // original, view (its own tracks in other boxes), rendition or none
	Browsers []string   `json:"browsers,omitempty"` // that play the original or the view; the others get a rendition
	Detail   string     `json:"detail,omitempty"`   // what decided
	Reason   string     `json:"reason,omitempty"`   // why nothing plays, one word
	Sentence string     `json:"sentence,omitempty"` // the same for people
	Make     []string   `json:"make"`               // what would be made, the most urgent first
}

func (c probeCmd) Run(ctx context.Context, e *env) error {
	f, before, err := openFile(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	out := probed{File: c.File, Make: []string{}}
	var info media.Info
	verdict := media.Verdict{Play: media.PlayNone, Reason: media.NotMedia}
	if before.Size() > 0 {
		info, err = e.look(ctx, f)
		if verdict.Reason = media.ReasonOf(err); err != nil && verdict.Reason == "" {
			return err
		}
		if err == nil {
			verdict = media.Judge(info)
			for _, w := range media.Plan(info, verdict) {
				out.Make = append(out.Make, w.String())
			}
		}
	}
	out.Kind, out.Info = info.Kind(), recordingOf(info)
	out.Play, out.Browsers, out.Detail = verdict.Play, verdict.Browsers, verdict.Detail
	out.Reason, out.Sentence = string(verdict.Reason), verdict.Reason.Sentence()
	if e.JSON {
		return e.printJSON(out)
	}
	out.print(e, info)
	return nil
}

// look does what a server does: the head first, then ffprobe.
func (e *env) look(ctx context.Context, f *os.File) (media.Info, error) {
	st, err := f.Stat()
	if err != nil {
		return media.Info{}, fileError(err, f.Name())
	}
	info, err := playback.FromHead(f, st.Size())
	if err == nil {
		return info, nil
	}
	tools := config.Default().Media
	if conf, err := e.loadConfig(); err == nil {
		tools = conf.Media
	}
	tool, err := daemon.OpenMaker(ctx, tools, e.sandbox)
	if err != nil {
		return media.Info{}, err
	}
	path, err := filepath.Abs(f.Name())
	if err != nil {
		return media.Info{}, vam.Wrap(vam.Unavailable, err, "the present folder is gone")
	}
	return tool.Probe(ctx, path)
}

func (p probed) print(e *env, info media.Info) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(e.out, "%-9s %s\n", name, safe(value))
		}
	}
	line("File", p.File)
	line("Is", strings.TrimSpace(fmt.Sprintf("%s, %s", p.Kind, orUnknown(info.Container))))
	if info.Duration > 0 {
		line("Length", info.Duration.Round(10*time.Millisecond).String())
	}
	for _, t := range info.Tracks {
		line("Track", describeTrack(t))
	}
	switch p.Play {
	case media.PlayNone:
		line("Plays", "no: "+p.Sentence)
	case media.PlayRendition:
		line("Plays", "after a rendition is made: "+p.Detail)
	default:
		how := map[media.Play]string{media.PlayOriginal: "as it is", media.PlayView: "as a view of it, which costs no second copy"}[p.Play]
		line("Plays", how+", in "+strings.Join(p.Browsers, ", "))
		if len(p.Browsers) < 3 {
			line("", "elsewhere after a rendition is made: "+p.Detail)
		}
	}
	line("Made", strings.Join(p.Make, ", "))
}

func orUnknown(s string) string {
	if s == "" {
		return "of an unknown format"
	}
	return s
}

func describeTrack(t media.Track) string {
	words := []string{string(t.Type), orUnknown(t.Codec)}
	if t.Profile != "" {
		words = append(words, t.Profile)
	}
	switch t.Type {
	case media.Video:
		words = append(words, fmt.Sprintf("%d × %d", t.Width, t.Height))
		if t.FrameRate > 0 {
			words = append(words, fmt.Sprintf("%.4g frames/s", t.FrameRate))
		}
		if t.Rotation != 0 {
			words = append(words, fmt.Sprintf("turned by %d°", t.Rotation))
		}
		if t.Colour.HDR() {
			words = append(words, "high dynamic range")
		}
	case media.Audio:
		if t.SampleRate > 0 {
			words = append(words, count(t.Channels, "channel"), fmt.Sprintf("%d Hz", t.SampleRate))
		}
	}
	if t.Language != "" && t.Language != "und" {
		words = append(words, t.Language)
	}
	return strings.Join(words, ", ")
}
