package peer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// Movie is a recording to make: H.264 and AAC in MP4, a moving test picture with some
// noise so that it is as large as a real one.
type Movie struct {
	// Size is how large it shall be, about.
	Size int64
	// Rate is its bits a second.
	Rate int
	// Width and Height of the picture.
	Width, Height int
	// IndexLast leaves the index behind the media, as most cameras do.
	IndexLast bool
}

// movieClip is how many seconds are encoded; the rest repeats them.
const movieClip = 10

// MakeMovie writes the recording into dir: a clip of some seconds, again and again
// without encoding it again. Errors: ErrMissing.
func MakeMovie(ctx context.Context, dir string, m Movie) (File, error) {
	bin, err := find("ffmpeg")
	if err != nil {
		return File{}, err
	}
	clip, err := os.CreateTemp(dir, "clip-*.mp4")
	if err != nil {
		return File{}, err
	}
	_ = clip.Close()
	defer func() { _ = os.Remove(clip.Name()) }()
	rate := strconv.Itoa(m.Rate)
	err = ffmpeg(
		ctx, bin, "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=%dx%d:rate=25,noise=alls=24:allf=t", m.Width, m.Height), "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
		"-t", strconv.Itoa(movieClip), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50", "-b:v", rate, "-minrate", rate, "-maxrate", rate, "-bufsize", rate,
		"-x264-params", "nal-hrd=cbr", "-c:a", "aac", "-b:a", "96k", clip.Name(),
	)
	if err != nil {
		return File{}, err
	}
	one, err := os.Stat(clip.Name())
	if err != nil {
		return File{}, err
	}
	again := max(0, int(math.Round(float64(m.Size)/float64(one.Size())))-1)
	to := filepath.Join(dir, fmt.Sprintf("movie-%d-%d-%t.mp4", m.Size, m.Height, m.IndexLast))
	args := []string{"-stream_loop", strconv.Itoa(again), "-i", clip.Name(), "-c", "copy"}
	if !m.IndexLast {
		args = append(args, "-movflags", "+faststart")
	}
	if err := ffmpeg(ctx, bin, append(args, to)...); err != nil {
		return File{}, err
	}
	return describe(to)
}

func ffmpeg(ctx context.Context, bin string, args ...string) error {
	cmd := exec.CommandContext(ctx, bin, append([]string{"-hide_banner", "-loglevel", "error", "-nostdin", "-y"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ffmpeg: %w\n%s", err, out)
	}
	return nil
}

func describe(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return File{Path: path, Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}, err
}

// Edition is a recording that no server has seen: the file, and behind it a box that
// players skip, with a number. Close it.
type Edition struct {
	Size int64

	file *os.File
	base int64
	tail []byte
}

// NewEdition opens file as edition n. It is an MP4 file.
func NewEdition(file File, n uint64) (*Edition, error) {
	f, err := os.Open(file.Path)
	if err != nil {
		return nil, err
	}
	tail := binary.BigEndian.AppendUint32(nil, 16)
	tail = append(tail, "free"...)
	tail = binary.BigEndian.AppendUint64(tail, n)
	return &Edition{Size: file.Size + int64(len(tail)), file: f, base: file.Size, tail: tail}, nil
}

// ReadAt implements io.ReaderAt.
func (e *Edition) ReadAt(p []byte, at int64) (n int, err error) {
	if at < e.base {
		n, err = e.file.ReadAt(p[:min(int64(len(p)), e.base-at)], at)
		if err != nil || n == len(p) {
			return n, err
		}
	}
	rest := at + int64(n) - e.base
	if rest >= int64(len(e.tail)) {
		return n, io.EOF
	}
	m := copy(p[n:], e.tail[rest:])
	if n += m; n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Close closes the file.
func (e *Edition) Close() error { return e.file.Close() }

// CopyToHLS packages a recording for HLS in fragmented MP4 with ffmpeg, without encoding
// it again: what most people run. Errors: ErrMissing.
func CopyToHLS(ctx context.Context, file File, dir string) error {
	bin, err := find("ffmpeg")
	if err != nil {
		return err
	}
	return ffmpeg(
		ctx, bin, "-i", file.Path, "-c", "copy", "-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4",
		"-hls_segment_filename", filepath.Join(dir, "%d.m4s"), filepath.Join(dir, "index.m3u8"),
	)
}

// FirstPicture makes a JPEG of the first picture of any recording with ffmpeg and returns
// how long it took. A recording that has none is an error. Errors: ErrMissing.
func FirstPicture(ctx context.Context, path, scratch string) (time.Duration, error) {
	bin, err := find("ffmpeg")
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp(scratch, "picture-*")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	to := filepath.Join(dir, "picture.jpg")
	start := time.Now()
	if err := ffmpeg(ctx, bin, "-i", path, "-map", "0:v:0", "-frames:v", "1", "-vf", "scale=w='min(1280,iw)':h=-2", "-f", "image2", "-update", "1", to); err != nil {
		return 0, err
	}
	took := time.Since(start)
	info, err := os.Stat(to)
	if err == nil && info.Size() == 0 {
		err = fmt.Errorf("%s has no picture", path)
	}
	return took, err
}
