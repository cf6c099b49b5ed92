package playback

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
)

// State is what a message's media can be played as, now.
type State struct {
	// Complete says that all of the original is here.
	Complete bool
	// Known says that Info is; Verdict is meaningful then, and when Reason is set.
	Known   bool
	Info    media.Info
	Verdict media.Verdict
	// Play is what plays now: the original or its view while Verdict says so, a rendition
	// when one was made, else none. Where Verdict does not name a browser, Renditions may
	// serve it.
	Play media.Play
	// Working says that something waits or runs that may make it play, or play in more
	// browsers. Reason is why nothing plays and, unless Working, nothing will.
	Working bool
	Reason  media.Reason
	// Planned says that it is settled what is made of it: what stands neither in Assets nor
	// in Jobs will not come.
	Planned bool
	// Assets are in order of name, Jobs in that of urgency, those that are done left out.
	Assets []Asset
	Jobs   []Job
	// Tag changes with everything above.
	Tag string
}

// Asset finds one that was made.
func (st State) Asset(name string) (Asset, bool) {
	for _, a := range st.Assets {
		if a.Name == name {
			return a, true
		}
	}
	return Asset{}, false
}

// Renditions are those that were made, the largest first.
func (st State) Renditions() []Asset {
	var out []Asset
	for _, a := range st.Assets {
		if a.Work.Kind == media.Rendition {
			out = append(out, a)
		}
	}
	slices.SortStableFunc(out, func(a, b Asset) int { return min(b.Width, b.Height) - min(a.Width, a.Height) })
	return out
}

// Job is the most urgent job of a kind that is not done.
func (st State) Job(kind media.WorkKind) (Job, bool) {
	for _, j := range st.Jobs {
		if j.Work.Kind == kind {
			return j, true
		}
	}
	return Job{}, false
}

// pending reports whether a job of the kind waits or runs.
func (st State) pending(kind media.WorkKind) bool {
	return slices.ContainsFunc(st.Jobs, func(j Job) bool { return j.Work.Kind == kind && j.State != Failed })
}

// State says what plays now. NotFound for a message that is not here; Gone after a
// revoke or an expiry.
func (s *Service) State(ctx context.Context, k message.Key) (State, error) {
	m, err := s.get(ctx, k)
	if err != nil {
		return State{}, err
	}
	st := State{Complete: m.Complete, Play: media.PlayNone}
	switch {
	case m.Complete && m.Head.MediaBytes == 0:
		st.Known, st.Planned = true, true // an empty file is no recording
	case m.Media != (blob.ID{}):
		if err := s.load(ctx, m, &st); err != nil {
			return State{}, err
		}
	}
	if !st.Known {
		if err := s.peek(ctx, m, &st); err != nil {
			return State{}, err
		}
	}
	st.conclude()
	st.Tag = st.tag()
	return st, nil
}

// load reads what is stored of the media.
func (s *Service) load(ctx context.Context, m message.Message, st *State) error {
	l, err := s.store.Look(ctx, m.Media)
	st.Known, st.Planned, st.Info, st.Assets, st.Jobs = l.Known, l.Known, l.Info, l.Assets, l.Jobs
	return err
}

// peek looks at the head of a recording that nobody has said anything of yet.
func (s *Service) peek(ctx context.Context, m message.Message, st *State) error {
	if m.Head.MediaBytes == 0 || m.Media == (blob.ID{}) {
		return nil
	}
	src, err := s.o.Messages.OpenMedia(ctx, m.Key)
	if err != nil {
		if vam.KindOf(err) == vam.NotFound {
			return nil // nothing has come yet
		}
		return err
	}
	defer func() { _ = src.Close() }()
	r := arriving{ctx, src}
	info, known, err := s.heads.look(ctx, headKey{m.Media, m.Head.MediaBytes}, r)
	if err != nil {
		return err
	}
	if known {
		st.Known, st.Info = true, info
		return nil
	}
	if j, ok := st.Job(media.Probe); ok && j.State == Failed && missing(j.Code) {
		st.guess(r)
	}
	return nil
}

// missing reports whether a reason lies in a part of this server that is not there.
func missing(r media.Reason) bool { return r == media.NoFFmpeg || r == media.NoSandbox }

// guess is what is believed of a recording that could not be looked into.
func (st *State) guess(r io.ReaderAt) {
	if container := sniff(r); container != "" {
		st.Info.Container = container
		st.Verdict = media.Verdict{Play: media.PlayOriginal, Browsers: []string{media.Chromium, media.Firefox, media.Safari}, Detail: "not looked into: a part of this server is missing"}
	}
}

// conclude says what plays.
func (st *State) conclude() {
	if st.Known {
		st.Verdict = media.Judge(st.Info)
	}
	probe, ok := st.Job(media.Probe)
	failed := !st.Known && ok && probe.State == Failed
	st.Planned = st.Planned || failed
	if st.blank() {
		st.Verdict = media.Verdict{Play: media.PlayNone, Reason: media.Broken, Detail: "no picture of it can be decoded"}
	}
	switch {
	case st.Verdict.Play == media.PlayOriginal || st.Verdict.Play == media.PlayView:
		st.Play = st.Verdict.Play
		st.Working = st.pending(media.Rendition)
	case failed:
		st.Reason = probe.Code
		st.Verdict = media.Verdict{Play: media.PlayNone, Reason: probe.Code, Detail: probe.Reason}
	case !st.Known:
		st.Working = true
	case len(st.Renditions()) > 0:
		st.Play = media.PlayRendition
		st.Working = st.pending(media.Rendition)
	case st.Verdict.Play == media.PlayRendition:
		st.waitForRendition()
	default:
		st.Reason = st.Verdict.Reason
	}
	if st.Verdict.Play == "" {
		st.Verdict.Play = media.PlayNone
	}
}

// blank reports whether a recording has nothing but pictures, all of it is here, and none of
// them can be decoded: the maker of posters has looked for one to its end, and nothing else
// that shows any was made.
func (st *State) blank() bool {
	j, ok := st.Job(media.Poster)
	return st.Known && st.Complete && ok && j.State == Failed && j.Code == media.Broken &&
		st.Info.Video() != nil && st.Info.Audio() == nil && len(st.Assets) == 0 &&
		!slices.ContainsFunc(st.Jobs, func(j Job) bool { return j.State != Failed })
}

func (st *State) waitForRendition() {
	j, failed := st.Job(media.Rendition)
	switch {
	case st.pending(media.Rendition), !failed && !st.Planned:
		st.Working = true // or its job is about to be made
	case failed:
		st.Reason = j.Code
	default:
		st.Reason = media.Failed
	}
}

func (st State) tag() string {
	h := sha256.New()
	fmt.Fprintf(h, "%t %t %t %+v %+v %s %t %s\n", st.Complete, st.Known, st.Planned, st.Info, st.Verdict, st.Play, st.Working, st.Reason)
	for _, a := range st.Assets {
		fmt.Fprintf(h, "%s %s\n", a.Name, a.Object)
	}
	for _, j := range st.Jobs {
		fmt.Fprintf(h, "%d %s %d %d %d %d %s\n", j.ID, j.State, int(100*j.Progress), j.Attempts, j.Cuts, j.NextAt.UnixMicro(), j.Code)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:12])
}

// arrivalPoll is how often media that still arrives is looked at again.
const arrivalPoll = time.Second

// Wait returns the state as soon as its Tag is another one, and at the end of ctx as it
// stands then, without an error.
func (s *Service) Wait(ctx context.Context, k message.Key, tag string) (State, error) {
	for {
		news := s.news()
		st, err := s.State(context.WithoutCancel(ctx), k)
		if err != nil || st.Tag != tag {
			return st, err
		}
		again := time.NewTimer(arrivalPoll)
		select {
		case <-news:
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return st, nil
		}
		again.Stop()
	}
}

// Open opens something that was made of a message's media. Close it. NotFound when it
// was not made or not yet; Gone.
func (s *Service) Open(ctx context.Context, k message.Key, name string) (*Reader, error) {
	m, err := s.get(ctx, k)
	if err != nil {
		return nil, err
	}
	if m.Media == (blob.ID{}) || !validName(name) {
		return nil, vam.Errorf(vam.NotFound, "there is no %.64q of this message", name)
	}
	a, err := s.store.Asset(ctx, m.Media, name)
	if err != nil {
		return nil, err
	}
	obj, err := s.o.Blobs.Open(ctx, a.Object)
	if err != nil {
		return nil, err
	}
	return &Reader{Asset: a, SectionReader: io.NewSectionReader(obj, 0, a.Size), obj: obj}, nil
}

// Reader reads an asset: it is an io.ReadSeekCloser, an io.ReaderAt and an io.WriterTo
// by its parts. Only ReadAt is safe for concurrent use.
type Reader struct {
	Asset
	*io.SectionReader
	obj blob.Object
}

// Size is the length in octets.
func (r *Reader) Size() int64 { return r.Asset.Size }

// Close releases the asset.
func (r *Reader) Close() error { return r.obj.Close() }

// validName reports whether a name may be one of an asset: a plain file name.
func validName(name string) bool {
	return len(name) > 0 && len(name) <= 64 && name[0] != '.' && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}
