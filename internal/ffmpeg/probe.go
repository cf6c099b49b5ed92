package ffmpeg

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/sandbox"
)

// maxJSON bounds what ffprobe says, in octets.
const maxJSON = 4 << 20

// Probe says what the file is. What is no recording by its first octets is refused without
// a process. A still picture is an Info with the container "heif". Errors: those of
// media.Refuse; Unavailable when it should be tried again.
func (t *Tool) Probe(ctx context.Context, path string) (media.Info, error) {
	path, container, size, err := look(path)
	if err != nil {
		return media.Info{}, err
	}
	if container == "heif" {
		return media.Info{Container: container, Size: size}, nil
	}
	out, said := &head{limit: maxJSON}, &head{limit: 1 << 16}
	args := append([]string{"-hide_banner", "-v", "error", "-of", "json", "-show_format", "-show_streams", "-show_chapters", "-max_pixels", strconv.Itoa(media.MaxPixels)}, restrict(container, beside)...)
	_, err = t.box.Run(ctx, sandbox.Command{Path: t.ffprobe, Args: append(args, "-i", "file:"+path), Read: []string{path}, Stdout: out, Stderr: said, Bounds: quickBounds()})
	if err != nil {
		return media.Info{}, judged(ctx, err, said.String())
	}
	var p probed
	if err := json.Unmarshal(out.Bytes(), &p); err != nil {
		return media.Info{}, media.Refuse(media.Broken, err)
	}
	info := p.info(container, size)
	if len(info.Tracks) == 0 {
		return info, media.Refuse(media.Broken, nil)
	}
	if doubtful(info) {
		if err := t.measure(ctx, path, &info); err != nil {
			return media.Info{}, err
		}
	}
	return info, nil
}

// look names the file in full, with its container.
func look(path string) (full, container string, size int64, err error) {
	unreadable := func(err error) (string, string, int64, error) {
		return "", "", 0, vam.Wrap(vam.Unavailable, err, "the recording cannot be read on this server")
	}
	if full, err = filepath.Abs(path); err != nil {
		return unreadable(err)
	}
	if full, err = filepath.EvalSymlinks(full); err != nil {
		return unreadable(err)
	}
	f, err := os.Open(full)
	if err != nil {
		return unreadable(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return unreadable(err)
	}
	if !info.Mode().IsRegular() {
		return "", "", 0, media.Refuse(media.NotMedia, nil)
	}
	if container, err = sniff(f); err != nil {
		return unreadable(err)
	}
	if container == "" {
		return "", "", 0, media.Refuse(media.NotMedia, nil)
	}
	return full, container, info.Size(), nil
}

// doubtful reports whether the header does not say how long the recording is, or says what
// cannot be: less than 25 octets a second.
func doubtful(i media.Info) bool {
	return i.Duration <= 0 || i.Duration > time.Hour && float64(i.Size)/i.Duration.Seconds() < 25
}

// measure reads through the recording, without decoding, and sets the duration by its
// packets. A recording whose packets say nothing keeps 0.
func (t *Tool) measure(ctx context.Context, path string, i *media.Info) error {
	said := &head{limit: 1 << 16}
	r, w := io.Pipe()
	args := append([]string{"-hide_banner", "-v", "error", "-of", "csv=p=0", "-show_entries", "packet=pts_time,duration_time"}, restrict(i.Container, beside)...)
	done := make(chan [2]float64, 1)
	go func() { done <- span(r) }()
	_, err := t.box.Run(ctx, sandbox.Command{Path: t.ffprobe, Args: append(args, "-i", "file:"+path), Read: []string{path}, Stdout: w, Stderr: said, Bounds: longBounds(media.Info{})})
	w.Close()
	ends := <-done
	if err != nil {
		return judged(ctx, err, said.String())
	}
	i.Duration = seconds(ends[1] - ends[0])
	for n := range i.Tracks {
		i.Tracks[n].Duration = 0
	}
	return nil
}

// span reads lines of "time,duration" to the end and returns the first and the last moment.
func span(r io.Reader) (out [2]float64) {
	first := true
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		at, length, _ := strings.Cut(lines.Text(), ",")
		begin, err := strconv.ParseFloat(at, 64)
		if err != nil {
			continue
		}
		end := begin
		if d, err := strconv.ParseFloat(strings.TrimRight(length, ","), 64); err == nil {
			end += d
		}
		if first || begin < out[0] {
			out[0] = begin
		}
		if first || end > out[1] {
			out[1] = end
		}
		first = false
	}
	_, _ = io.Copy(io.Discard, r) // after a line that is too long
	return out
}
