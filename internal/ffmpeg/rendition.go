package ffmpeg

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/media"
)

// The shape of a rendition.
const (
	renditionShort = 1080  // pixels of the short side
	screenShort    = 2160  // the same, of a screen
	renditionRate  = 48000 // Hz
	keyEvery       = 4     // seconds between pictures at which a player can begin
)

// rendition saves H.264 and AAC in MP4. A copy that does not work is encoded. A screen keeps
// its pixels, and has no smaller rungs.
func (j *job) rendition() ([]File, error) {
	v, a := j.info.Video(), j.info.Audio()
	if v != nil && !v.Decodable() || v == nil && (a == nil || !a.Decodable()) {
		return nil, media.Refuse(media.Unsupported, nil)
	}
	if !j.work.CopyVideo {
		j.info.Screen = j.screen()
	}
	if j.info.Screen && j.work.Short > 0 {
		return nil, nil // letters that were made smaller help nobody
	}
	f, err := j.encode(v, a)
	if err != nil && !vam.KindOf(err).Temporary() && (j.work.CopyVideo || j.work.CopyAudio) {
		j.work.CopyVideo, j.work.CopyAudio = false, false
		f, err = j.encode(v, a)
	}
	if err != nil {
		return nil, err
	}
	j.report(1)
	return []File{f}, nil
}

func (j *job) encode(v, a *media.Track) (File, error) {
	if err := j.light(v); err != nil {
		return File{}, err
	}
	name := media.RenditionFile(j.work.Short)
	args := []string{"-map_metadata", "-1", "-map_chapters", "-1", "-sn", "-dn"}
	if v != nil {
		args = append(args, j.picture(v)...)
	} else {
		args = append(args, "-vn")
	}
	if a != nil && a.Decodable() {
		args = append(args, j.sound(a)...)
	} else {
		args = append(args, "-an")
	}
	args = append(args, "-max_muxing_queue_size", "4096", "-movflags", "+faststart", "-f", "mp4", name)
	err := j.run(j.ctx, call{
		global: []string{"-progress", "pipe:1", "-nostats"}, before: j.mended(), after: args,
		stdout: &progress{total: j.info.Duration, report: j.report}, bounds: longBounds(j.info),
	})
	if err != nil {
		return File{}, err
	}
	return j.verify(name, v != nil)
}

// mended makes up the times that some containers leave out.
func (j *job) mended() []string {
	if j.container == "avi" || j.container == "mpegps" {
		return []string{"-fflags", "+genpts"}
	}
	return nil
}

// picture are the arguments for H.264: upright, square pixels, times as they were.
func (j *job) picture(v *media.Track) []string {
	out := []string{"-map", j.stream(v)}
	if j.work.CopyVideo {
		return append(out, "-c:v", "copy")
	}
	w, h := j.size(v)
	quality, most := "23", 3*w*h
	if j.info.Screen {
		quality, most = "20", 8*w*h // letters have hard edges, and stand still
	}
	return append(out, "-vf", toVideo(v, w, h), "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-crf", quality,
		"-maxrate", strconv.Itoa(most), "-bufsize", strconv.Itoa(2*most), "-fps_mode", "vfr", "-g", "600", "-flags", "+cgop",
		"-force_key_frames", fmt.Sprintf("expr:gte(t,n_forced*%d)", keyEvery), "-video_track_timescale", "90000", "-threads", strconv.Itoa(j.threads),
		"-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709", "-color_range", "tv")
}

// size is that of the rendition in pixels.
func (j *job) size(v *media.Track) (int, int) {
	w, h := v.DisplayWidth, v.DisplayHeight
	if w <= 0 || h <= 0 {
		w, h = v.Width, v.Height
	}
	limit := j.work.Short
	if limit == 0 {
		limit = renditionShort
		if j.info.Screen {
			limit = screenShort
		}
	}
	if short := min(w, h); short > limit {
		w, h = w*limit/short, h*limit/short
	}
	return within(w, h, 4096) // what level 5.1 decoders take
}

// sound are the arguments for AAC: from the first moment on, with gaps filled, so that it
// does not drift from the picture.
func (j *job) sound(a *media.Track) []string {
	out := []string{"-map", j.stream(a)}
	if j.work.CopyAudio {
		return append(out, "-c:a", "copy")
	}
	channels, rate := 2, "128k"
	if a.Channels == 1 {
		channels, rate = 1, "80k"
	}
	return append(out, "-af", "aresample=async=1000:first_pts=0", "-ac", strconv.Itoa(channels), "-ar", strconv.Itoa(renditionRate), "-c:a", "aac", "-b:a", rate)
}

// verify probes what was made as if a stranger had sent it.
func (j *job) verify(name string, picture bool) (File, error) {
	f, err := j.finished(name, "video/mp4", 0, 0)
	if err != nil {
		return File{}, err
	}
	made, err := j.Probe(j.ctx, filepath.Join(j.dir, name))
	if err != nil {
		return File{}, err
	}
	v := made.Video()
	if made.Duration <= 0 || picture != (v != nil) || !picture && made.Audio() == nil {
		return File{}, media.Refuse(media.Broken, fmt.Errorf("what was made lasts %s and has %d tracks", made.Duration, len(made.Tracks)))
	}
	if v == nil {
		f.Type = "audio/mp4"
		return f, nil
	}
	f.Width, f.Height = v.DisplayWidth, v.DisplayHeight
	return f, nil
}

// progress reads what ffmpeg says with -progress: lines of name=value.
type progress struct {
	total  time.Duration
	report func(float64)
	rest   []byte
}

// Write takes lines in any pieces.
func (p *progress) Write(b []byte) (int, error) {
	const longest = 4096
	p.rest = append(p.rest, b...)
	for {
		i := bytes.IndexByte(p.rest, '\n')
		if i < 0 {
			break
		}
		p.line(string(p.rest[:i]))
		p.rest = p.rest[i+1:]
	}
	if len(p.rest) > longest {
		p.rest = nil
	}
	return len(b), nil
}

func (p *progress) line(s string) {
	value, ok := strings.CutPrefix(s, "out_time_us=")
	if !ok || p.total <= 0 {
		return
	}
	if us, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err == nil {
		p.report(float64(us) / float64(p.total.Microseconds()))
	}
}
