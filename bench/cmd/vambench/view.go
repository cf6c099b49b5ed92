package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/bench/race"
	"github.com/videoactivmail/vam/internal/cmaf"
	"github.com/videoactivmail/vam/internal/hls"
	"github.com/videoactivmail/vam/internal/isobmff"
)

// packaging is what one way to package a recording took.
type packaging struct {
	seconds float64
	disk    vam.Bytes // more than before
	extra   map[string]float64
}

// measureView compares a view of a recording, computed from its tables, with the copy
// that is usually made of it. One run gives two tables: the time and the disk.
func measureView(ctx context.Context, b *bench) error {
	size := b.size(vam.GiB, 64*vam.MiB)
	b.expect(size)
	file, err := b.movie(ctx, hd(size, false))
	if err != nil {
		return err
	}
	p, err := b.start(ctx, pair.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	const (
		copied = "ffmpeg -c copy"
		pure   = "view: tables to playlist and all headers"
		served = "view: playlists, header and first segment over HTTPS"
	)
	ways := []struct {
		name, note string
		run        func(context.Context) (packaging, error)
	}{
		{copied, "HLS with fragmented MP4; all of it is there then", func(ctx context.Context) (packaging, error) { return b.packageByCopy(ctx, file) }},
		{pure, "in this process; what any segment needs but its media", func(context.Context) (packaging, error) { return packageByView(file) }},
		{served, "a fresh recording, from a new TLS connection on", func(ctx context.Context) (packaging, error) { return b.packageByServer(ctx, p, file) }},
	}
	took := race.Race{
		Name: "view", Title: "Packaging a recording of " + size.String() + " for HLS without encoding it again",
		Setting: "H.264 and AAC in MP4, about 8 Mbit/s.", Unit: "ms", Smaller: true, Base: copied,
	}
	disk := race.Race{
		Name: "view-disk", Title: "Disk that such packaging takes", Setting: "What the folder takes on the disk, after and before.", Unit: "MiB", Smaller: true, Base: copied,
		Before: func() {},
	}
	last := make([]packaging, len(ways))
	for i, w := range ways {
		took.Contestants = append(took.Contestants, race.Contestant{Name: w.name, Note: w.note, Run: func(ctx context.Context) (race.Sample, error) {
			got, err := w.run(ctx)
			last[i] = got
			return race.Sample{Value: got.seconds * 1000, Extra: got.extra}, err
		}})
		disk.Contestants = append(disk.Contestants, race.Contestant{Name: w.name, Run: func(context.Context) (race.Sample, error) {
			if last[i].seconds == 0 {
				return race.Sample{}, errors.New("it failed")
			}
			return race.Sample{Value: float64(last[i].disk) / float64(vam.MiB)}, nil
		}})
	}
	took.Goals = []race.Goal{{Name: pure, Ratio: 50, AtMost: true}, {Name: served, Ratio: 50, AtMost: true}}
	disk.Goals = []race.Goal{{Name: served, Ratio: 1, AtMost: true}}
	if err := b.race(ctx, took, b.runs); err != nil {
		return err
	}
	return b.race(ctx, disk, 1)
}

func (b *bench) packageByCopy(ctx context.Context, file peer.File) (out packaging, err error) {
	dir, err := os.MkdirTemp(b.scratch, "hls-*")
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	start := time.Now()
	if err := peer.CopyToHLS(ctx, file, dir); err != nil {
		return out, err
	}
	out.seconds = time.Since(start).Seconds()
	out.disk, err = diskUse(dir)
	return out, err
}

// packageByView makes the playlist, the header and the header of every segment.
func packageByView(file peer.File) (out packaging, err error) {
	f, err := os.Open(file.Path)
	if err != nil {
		return out, err
	}
	defer func() { _ = f.Close() }()
	start := time.Now()
	movie, err := isobmff.Read(f, file.Size, isobmff.Limits{})
	if err != nil {
		return out, err
	}
	view, err := cmaf.New(movie, cmaf.Options{})
	if err != nil {
		return out, err
	}
	list := hls.Media{Map: "init.mp4", Independent: view.Independent()}
	headers := len(view.Init())
	for i, s := range view.Segments() {
		list.Segments = append(list.Segments, hls.Segment{URI: fmt.Sprintf("%d.m4s", i), Duration: s.Duration})
		for _, piece := range view.Pieces(i) {
			headers += len(piece.Data)
		}
	}
	text := list.String()
	out.seconds = time.Since(start).Seconds()
	out.extra = map[string]float64{"segments": float64(len(list.Segments)), "octets computed": float64(headers + len(text))}
	return out, nil
}

// packageByServer asks for what a player of HLS reads first.
func (b *bench) packageByServer(ctx context.Context, p *pair.Pair, file peer.File) (out packaging, err error) {
	w, err := b.deliver(ctx, p, file)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, w.remove()) }()
	before, err := diskUse(p.B.Data())
	if err != nil {
		return out, err
	}
	c := site(p.B).NewClient()
	defer c.Close()
	start := time.Now()
	got, err := c.OpenHLS(ctx, w.path+"/hls/index.m3u8")
	if err != nil {
		return out, err
	}
	out.seconds = time.Since(start).Seconds()
	after, err := diskUse(p.B.Data())
	out.disk = after - before
	out.extra = map[string]float64{"segments": float64(got.Segments), "kB read": float64(got.Playlists+len(got.Init)+len(got.Segment)) / 1000}
	return out, err
}

// diskUse is what a folder takes on the disk. Files that go away meanwhile do not count.
func diskUse(dir string) (sum vam.Bytes, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil {
			info, err = e.Info()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		const block = 512 // of st_blocks (stat(2))
		if s, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().IsRegular() {
			sum += vam.Bytes(s.Blocks) * block
		}
		return nil
	})
	return sum, err
}
