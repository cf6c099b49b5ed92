package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/bench/race"
	"github.com/videoactivmail/vam/bench/viewer"
)

// corpus is the folder with recordings of many kinds, as seen from the module.
const corpus = "../shared/media"

// posterWithin is how long a poster may take before its row fails.
const posterWithin = 30 * time.Second

// pictured is a recording of the corpus, and what its posters took.
type pictured struct {
	path        string
	ours, plain []float64 // ms
	err         error
}

// measurePoster times the poster of every recording of the corpus of which ffmpeg alone
// makes a picture.
func measurePoster(ctx context.Context, b *bench) error {
	b.expect(0)
	const worst = "the slowest of them"
	r := race.Race{
		Name: "poster", Title: "Until there is a poster",
		Setting: "From a message that is whole in the mailbox until its poster can be had; the sender's server, on the same machine here, makes none. Beside it ffmpeg alone, which takes the first picture as it is: it is not confined, and the picture may be black.",
		Unit:    "ms", Smaller: true, Base: worst, Goals: []race.Goal{{Name: worst, Ratio: 1000, AtMost: true}},
	}
	files, err := b.pictures(ctx)
	if err != nil {
		r.Contestants = []race.Contestant{{Name: worst, Run: func(context.Context) (race.Sample, error) { return race.Sample{}, err }}}
		return b.race(ctx, r, 1)
	}
	for round := range min(b.runs, 3) {
		if err := b.posters(ctx, files, round); err != nil {
			return err
		}
	}
	r.Contestants = append(r.Contestants, race.Contestant{Name: worst, Note: fmt.Sprintf("of %d files", len(files)), Run: func(context.Context) (race.Sample, error) {
		var most race.Sample
		for _, f := range files {
			if f.err != nil {
				return most, fmt.Errorf("%s: %w", filepath.Base(f.path), f.err)
			}
			if s := f.sample(); s.Value > most.Value {
				most = s
			}
		}
		return most, nil
	}})
	for _, f := range files {
		r.Contestants = append(r.Contestants, race.Contestant{Name: filepath.Base(f.path), Run: func(context.Context) (race.Sample, error) {
			return f.sample(), f.err
		}})
	}
	r.Before = func() {}
	return b.race(ctx, r, 1)
}

func (f *pictured) sample() race.Sample {
	return race.Sample{Value: race.Median(f.ours), Extra: map[string]float64{"ffmpeg alone ms": race.Median(f.plain)}}
}

// pictures finds the recordings.
func (b *bench) pictures(ctx context.Context) ([]*pictured, error) {
	all, err := filepath.Glob(filepath.Join(b.root, corpus, "*.*"))
	if err != nil || len(all) == 0 {
		return nil, errors.Join(err, fmt.Errorf("%w: there are no recordings in %s", peer.ErrMissing, corpus))
	}
	slices.Sort(all)
	var out []*pictured
	for _, path := range all {
		took, err := peer.FirstPicture(ctx, path, b.scratch)
		switch {
		case errors.Is(err, peer.ErrMissing) || ctx.Err() != nil:
			return nil, err
		case err == nil:
			out = append(out, &pictured{path: path, plain: []float64{milliseconds(took)}})
		}
	}
	return out, nil
}

// posters sends all of them to a fresh server and waits for each poster.
func (b *bench) posters(ctx context.Context, files []*pictured, round int) (err error) {
	p, err := b.start(ctx, pair.Options{Media: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	for _, f := range files {
		if f.err != nil {
			continue
		}
		took, err := b.poster(ctx, p, f.path)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f.err = err; err != nil {
			continue
		}
		fmt.Fprintf(b.log, "poster %d: %s: %v\n", round+1, filepath.Base(f.path), took.Round(time.Millisecond))
		f.ours = append(f.ours, milliseconds(took))
		if round == 0 {
			continue // timed when it was found
		}
		plain, err := peer.FirstPicture(ctx, f.path, b.scratch)
		if err != nil {
			return err
		}
		f.plain = append(f.plain, milliseconds(plain))
	}
	return nil
}

// poster sends one and times its poster. Other work on it goes on behind: it is waited
// for, so that it is not in the way of the next.
func (b *bench) poster(ctx context.Context, p *pair.Pair, path string) (time.Duration, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	w, err := b.deliverWhole(ctx, p, peer.File{Path: path, Size: info.Size()})
	if err != nil {
		return 0, err
	}
	limit, cancel := context.WithTimeout(ctx, posterWithin)
	defer cancel()
	took, err := seePoster(limit, p, w)
	if err != nil {
		return 0, err
	}
	return took, settled(ctx, p, w)
}

func seePoster(ctx context.Context, p *pair.Pair, w watched) (time.Duration, error) {
	c := site(p.B).NewClient()
	defer c.Close()
	for {
		_, err := c.Get(ctx, w.path+"/poster.jpg")
		if err == nil {
			return time.Since(w.stored), nil
		}
		if ctx.Err() != nil {
			return 0, fmt.Errorf("there was no poster within %v", posterWithin)
		}
		if !viewer.Missing(err) {
			return 0, err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
