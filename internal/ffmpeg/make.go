package ffmpeg

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/sandbox"
)

// File is one thing that was made.
type File struct {
	Name string // in the folder, as media.Work.Files lists it
	Type string // media type
	// Width and Height are in pixels, 0 for what has none.
	Width, Height int
	Size          vam.Bytes
}

// Make does the work in dir, an empty folder that belongs to this call, and says what it
// left there; other files in it are without meaning. progress is called now and then with
// what is done, from 0 to 1; it may be nil and is called from one goroutine. Work that
// turns out to have no use makes no file and no error: the smaller rung of a screen, a
// storyboard of a recording that has no length. Errors: those of media.Refuse,
// permanent by their kind; Unavailable when it should be tried again.
func (t *Tool) Make(ctx context.Context, w media.Work, info media.Info, path, dir string, progress func(done float64)) ([]File, error) {
	path, container, _, err := look(path)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, vam.Wrap(vam.Unavailable, err, "there is no folder for what is made of recordings")
	}
	if container == "heif" {
		return nil, media.Refuse(media.StillImage, nil)
	}
	j := job{Tool: t, ctx: ctx, work: w, info: info, path: path, container: container, dir: dir, progress: progress}
	switch w.Kind {
	case media.Poster:
		return j.poster()
	case media.Rendition:
		return j.rendition()
	case media.Storyboard:
		return j.storyboard()
	case media.Preview:
		return j.preview()
	case media.Peaks:
		return j.peaks()
	case media.Captions:
		return j.captions()
	}
	return nil, vam.Errorf(vam.Invalid, "%q is nothing that ffmpeg makes", w)
}

// job is one Make. It is for one goroutine.
type job struct {
	*Tool
	ctx             context.Context
	work            media.Work
	info            media.Info
	path, container string
	dir             string
	progress        func(float64)
}

// standsBack is how far a work lets others go first: the poster is waited for, and what
// plays is more urgent than what makes it better. People who watch come before all of it.
func standsBack(k media.WorkKind) int {
	switch k {
	case media.Poster:
		return 0
	case media.Rendition:
		return 10
	}
	return 5
}

// run runs ffmpeg with the input and these arguments for the output, until ctx ends.
func (j *job) run(ctx context.Context, c call) error {
	said := &head{limit: 1 << 16}
	c.bounds.Nice = standsBack(j.work.Kind)
	args := append([]string{"-nostdin", "-hide_banner", "-v", "error", "-y", "-threads", strconv.Itoa(j.threads), "-filter_threads", strconv.Itoa(j.threads)}, c.global...)
	args = append(args, reading(j.container)...)
	args = append(args, "-max_pixels", strconv.Itoa(media.MaxPixels))
	args = append(args, c.before...)
	args = append(args, "-i", "file:"+j.path)
	args = append(args, c.after...)
	cmd := sandbox.Command{Path: j.ffmpeg, Args: args, Read: []string{j.path}, Dir: j.dir, Stdout: c.stdout, Stderr: said, Bounds: c.bounds}
	_, err := j.box.Run(ctx, cmd)
	return judged(ctx, err, said.String())
}

// call is one run of ffmpeg.
type call struct {
	global, before, after []string
	stdout                writer
	bounds                sandbox.Bounds
}

// writer is an io.Writer, or nothing.
type writer interface{ Write([]byte) (int, error) }

func (j *job) report(done float64) {
	if j.progress != nil {
		j.progress(min(max(done, 0), 1))
	}
}

// stream names the track for ffmpeg: the n-th of its type. Infos come from two readers that
// number tracks in their own ways, in the same order.
func (j *job) stream(t *media.Track) string {
	n := 0
	for i := range j.info.Tracks {
		other := &j.info.Tracks[i]
		if other == t {
			break
		}
		if other.Type == t.Type {
			n++
		}
	}
	letter := map[media.TrackType]string{media.Video: "V", media.Audio: "a", media.Text: "s"}[t.Type]
	return "0:" + letter + ":" + strconv.Itoa(n)
}

// finished describes a file that ffmpeg or this package wrote. A link is not followed.
func (j *job) finished(name, mediaType string, width, height int) (File, error) {
	i, err := os.Lstat(filepath.Join(j.dir, name))
	if err != nil {
		return File{}, media.Refuse(media.Broken, err)
	}
	if !i.Mode().IsRegular() || i.Size() == 0 {
		return File{}, media.Refuse(media.Broken, nil)
	}
	return File{Name: name, Type: mediaType, Width: width, Height: height, Size: vam.Bytes(i.Size())}, nil
}

// save writes what was drawn here. A program has had the folder before: what it may have
// left under that name is not written through.
func (j *job) save(name, mediaType string, width, height int, content []byte) (File, error) {
	path := filepath.Join(j.dir, name)
	_ = os.Remove(path)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.Write(content)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return File{}, vam.Wrap(vam.Unavailable, err, "the disk of this server is full; work on the recording is tried again")
	}
	return File{Name: name, Type: mediaType, Width: width, Height: height, Size: vam.Bytes(len(content))}, nil
}

// within makes a size fit into a square of that side, keeping its shape, in even numbers.
func within(width, height, side int) (int, int) {
	if width <= 0 || height <= 0 {
		return 0, 0
	}
	if long := max(width, height); long > side {
		width, height = width*side/long, height*side/long
	}
	return even(width), even(height)
}

func even(n int) int { return max(2, n&^1) }

// text writes seconds as ffmpeg reads them.
func text(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }
