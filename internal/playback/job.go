package playback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/media"
)

// beat is how often the progress of a job is looked at and, when it moved, stored.
const beat = time.Second

var errLost = errors.New("the lease of this job was lost")

// run does one leased job to its outcome.
func (s *Service) run(ctx context.Context, j Job) {
	s.tell()
	jctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var done atomic.Uint64 // bits of a float64
	var wg sync.WaitGroup
	wg.Go(func() { s.hold(jctx, j, &done, cancel) })
	begun := time.Now()
	out, err := s.try(jctx, j, func(part float64) { done.Store(math.Float64bits(min(max(part, 0), 1))) })
	lost := errors.Is(context.Cause(jctx), errLost)
	cancel(nil)
	wg.Wait()
	switch {
	case lost:
		s.discard(ctx, out.Assets)
	case err != nil && ctx.Err() != nil:
		err = s.store.Return(context.WithoutCancel(ctx), s.o.Owner, j.ID, s.o.Now())
		s.logSettling(j, err)
	default:
		s.settle(context.WithoutCancel(ctx), j, out, err, time.Since(begun))
	}
	s.tell()
}

// hold keeps the lease of a job until ctx ends, and ends the job when it is lost: its
// media is gone, or the clock ran over it.
func (s *Service) hold(ctx context.Context, j Job, done *atomic.Uint64, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(min(beat, s.o.Lease/3))
	defer tick.Stop()
	said, at := 0.0, time.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		part := math.Float64frombits(done.Load())
		if part-said < 0.01 && time.Since(at) < s.o.Lease/3 {
			continue
		}
		err := s.store.Renew(ctx, s.o.Owner, j.ID, part, s.o.Now().Add(s.o.Lease))
		switch {
		case err == nil:
			said, at = part, time.Now()
			s.announce()
		case ctx.Err() != nil:
			return
		case vam.KindOf(err) == vam.Conflict:
			cancel(errLost)
			return
		default:
			s.o.Log.Error("the lease of a job was not renewed", "job", j.ID, "err", err)
		}
	}
}

// try does the work; a panic is an unknown error, and so a temporary one.
func (s *Service) try(ctx context.Context, j Job, progress func(float64)) (out Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.o.Log.Error("work on a recording panicked", "job", j.ID, "work", j.Work, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if s.o.Maker == nil {
		return Outcome{}, media.Refuse(s.o.Missing, nil)
	}
	if err := s.letPosterFirst(ctx, j); err != nil {
		return Outcome{}, err
	}
	obj, err := s.o.Blobs.Open(ctx, j.Media)
	if err != nil {
		return Outcome{}, err
	}
	defer func() { _ = obj.Close() }()
	dir, err := s.o.Scratch.Folder()
	if err != nil {
		return Outcome{}, err
	}
	defer func() {
		if rerr := dir.Remove(); rerr != nil {
			s.o.Log.Warn("a scratch folder was not removed", "err", rerr)
		}
	}()
	if j.Work.Kind == media.Probe {
		return s.probe(ctx, j, obj)
	}
	return s.make(ctx, j, obj, dir, progress)
}

// probe finds out what a recording is and plans what to make of it.
func (s *Service) probe(ctx context.Context, j Job, obj blob.Object) (Outcome, error) {
	path, release, err := s.original(ctx, obj, j.Size)
	if err != nil {
		return Outcome{}, err
	}
	defer release()
	info, err := s.o.Maker.Probe(ctx, path)
	if err != nil && media.ReasonOf(err) == media.NotMedia {
		return Outcome{Info: &media.Info{Size: j.Size}}, nil // that is an answer too
	}
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Info: &info, Works: media.Plan(info, media.Judge(info))}, nil
}

// make makes things of a recording and puts them into the media store.
func (s *Service) make(ctx context.Context, j Job, obj blob.Object, dir Folder, progress func(float64)) (Outcome, error) {
	info, err := s.store.Info(ctx, j.Media)
	if err != nil {
		return Outcome{}, err
	}
	if err := s.room(ctx, j.Work, info); err != nil {
		return Outcome{}, err
	}
	path, release, err := s.original(ctx, obj, j.Size)
	if err != nil {
		return Outcome{}, err
	}
	defer release()
	files, err := s.o.Maker.Make(ctx, j.Work, info, path, dir.Path(), progress)
	if err != nil {
		if out, ok := onlySound(j.Work, info, err); ok {
			s.o.Log.Info("no picture of a recording can be decoded; it is taken for its sound", "job", j.ID, "media", j.Media, "err", err)
			return out, nil
		}
		return Outcome{}, err
	}
	var out Outcome
	for _, f := range files {
		a, err := s.keep(ctx, j.Work, f, dir)
		if err != nil {
			s.discard(ctx, out.Assets)
			return Outcome{}, err
		}
		out.Assets = append(out.Assets, a)
	}
	return out, nil
}

// onlySound is the outcome of a poster of which there is none, because no picture of the
// recording can be decoded, when its sound may be as it should.
func onlySound(w media.Work, info media.Info, err error) (Outcome, bool) {
	if w.Kind != media.Poster || media.ReasonOf(err) != media.Broken || info.Audio() == nil || !info.Audio().Decodable() {
		return Outcome{}, false
	}
	info.NoPicture = true
	return Outcome{Info: &info, Works: media.Plan(info, media.Judge(info))}, true
}

// room refuses work that would fill the disk: new messages come first.
func (s *Service) room(ctx context.Context, w media.Work, info media.Info) error {
	need := 64 * vam.MiB
	if w.Kind == media.Rendition {
		need = 2 * info.LargestRendition() // once in the scratch folder, once where it stays
	}
	free, err := s.o.Blobs.Free(ctx)
	if err == nil && free < need {
		err = vam.Errorf(vam.OverQuota, "this server's disk has room for %s more, and converting this recording may need %s", free, need)
	}
	return err
}

// original says where the recording lies as a file, of a copy if need be: an object may
// be longer than its message, by what an upload left behind.
func (s *Service) original(ctx context.Context, obj blob.Object, size int64) (path string, release func(), err error) {
	if f, ok := obj.(interface{ Path() string }); ok && obj.Size() == size {
		return f.Path(), func() {}, nil
	}
	dir, err := s.o.Scratch.Folder()
	if err != nil {
		return "", nil, err
	}
	release = func() { _ = dir.Remove() }
	w, path, err := dir.Create("original")
	if err == nil {
		src := obj.Reader(0, size)
		_, err = io.Copy(w, contextReader{ctx, src})
		err = errors.Join(err, src.Close(), w.Close())
	}
	if err != nil {
		release()
		return "", nil, err
	}
	return path, release, nil
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// keep puts a file that was made into an object of its own, durably.
func (s *Service) keep(ctx context.Context, w media.Work, f File, dir Folder) (Asset, error) {
	if !validName(f.Name) {
		return Asset{}, vam.Errorf(vam.Internal, "%s made a file with the name %.64q", w, f.Name)
	}
	src, size, err := dir.Open(f.Name)
	if err != nil {
		return Asset{}, err
	}
	defer func() { _ = src.Close() }()
	made := Asset{Name: f.Name, Type: f.Type, Size: size, Width: f.Width, Height: f.Height, Object: blob.NewID(), Work: w}
	if err := s.fill(ctx, made, src); err != nil {
		s.discard(ctx, []Asset{made})
		return Asset{}, err
	}
	return made, nil
}

// fill writes the object of an asset, durably.
func (s *Service) fill(ctx context.Context, a Asset, src io.Reader) (err error) {
	if err := s.o.Blobs.Create(ctx, a.Object); err != nil {
		return err
	}
	obj, err := s.o.Blobs.Open(ctx, a.Object)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, obj.Close()) }()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.NewOffsetWriter(obj, 0)}, contextReader{ctx, src}, make([]byte, 1<<20))
	if err == nil && n != a.Size {
		err = vam.Errorf(vam.Internal, "%s changed while it was read", a.Name)
	}
	if err != nil {
		return err
	}
	return obj.Sync(ctx)
}

// discard removes objects that no row names.
func (s *Service) discard(ctx context.Context, assets []Asset) {
	for _, a := range assets {
		if err := s.o.Blobs.Remove(context.WithoutCancel(ctx), a.Object); err != nil {
			s.o.Log.Warn("an object that nothing names was not removed; the next start does that", "object", a.Object, "err", err)
		}
	}
}
