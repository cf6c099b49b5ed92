package ffmpeg

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"unicode/utf8"

	"github.com/videoactivmail/vam/internal/media"
)

// captionsOctets bounds one track of captions.
const captionsOctets = 4 << 20

// captions saves the text tracks. One that cannot be read is left out.
func (j *job) captions() ([]File, error) {
	var out []File
	var last error
	n := 0
	for i := range j.info.Tracks {
		t := &j.info.Tracks[i]
		if t.Type != media.Text {
			continue
		}
		name := media.CaptionsFile(n)
		f, err := j.caption(t, name)
		n++
		switch {
		case err == nil:
			out = append(out, f)
		case j.ctx.Err() != nil:
			return nil, err
		default:
			last = err
		}
		j.report(float64(n) / float64(len(j.info.Texts())))
	}
	if len(out) == 0 {
		return nil, last
	}
	return out, nil
}

func (j *job) caption(t *media.Track, name string) (File, error) {
	c := call{after: []string{"-map", j.textStream(t), "-c:s", "webvtt", "-f", "webvtt", name}, bounds: quickBounds()}
	c.bounds.File = captionsOctets
	if err := j.run(j.ctx, c); err != nil {
		return File{}, err
	}
	if err := checkCaptions(filepath.Join(j.dir, name)); err != nil {
		return File{}, err
	}
	return j.finished(name, "text/vtt", 0, 0)
}

// textStream counts as stream does, but ffprobe's own numbers are better where the Info came
// from it: tracks of pictures with text are no texts here, and are counted by ffmpeg.
func (j *job) textStream(t *media.Track) string {
	switch j.info.Container {
	case "mp4", "mov", "3gp":
		return j.stream(t)
	}
	return "0:" + strconv.Itoa(t.ID)
}

// checkCaptions wants what a browser will be given to be what it is called.
func checkCaptions(path string) error {
	i, err := os.Lstat(path)
	if err != nil || !i.Mode().IsRegular() {
		return media.Refuse(media.Broken, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return media.Refuse(media.Broken, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, captionsOctets+1))
	if err != nil || len(b) > captionsOctets || !bytes.HasPrefix(b, []byte("WEBVTT")) || !utf8.Valid(b) || bytes.Contains(b, []byte("\nSTYLE")) {
		return media.Refuse(media.Broken, err)
	}
	return nil
}
