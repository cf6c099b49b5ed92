package playback

import (
	"context"
	"errors"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/media"
)

// settle records the outcome of a job. When that fails the lease ends by itself and the
// job runs again.
func (s *Service) settle(ctx context.Context, j Job, out Outcome, err error, took time.Duration) {
	out.At = s.o.Now()
	if err == nil {
		err = s.store.Finish(ctx, s.o.Owner, j.ID, out)
		if err == nil {
			s.o.Log.Info("work on a recording done", "job", j.ID, "work", j.Work, "media", j.Media, "took", took)
			return
		}
		// A commit whose flush failed may be there after a restart: then its objects must be.
		if vam.KindOf(err) != vam.Unavailable {
			s.discard(ctx, out.Assets)
		}
		s.logSettling(j, err)
		return
	}
	code, again := s.judge(j, err)
	s.o.Log.Info("work on a recording failed", "job", j.ID, "work", j.Work, "media", j.Media, "attempt", j.Attempts+1, "again", again, "code", code, "err", err)
	if again > 0 {
		err = s.store.Retry(ctx, s.o.Owner, j.ID, out.At.Add(again), code, err.Error())
	} else {
		err = s.store.Fail(ctx, s.o.Owner, j.ID, out.At, code, err.Error())
	}
	s.logSettling(j, err)
}

func (s *Service) logSettling(j Job, err error) {
	switch {
	case err == nil:
	case vam.KindOf(err) == vam.Conflict, vam.KindOf(err) == vam.NotFound:
		s.o.Log.Info("a recording went away while it was worked on", "job", j.ID, "work", j.Work, "media", j.Media)
	default:
		s.o.Log.Error("the outcome of a job was not recorded; it will run again", "job", j.ID, "err", err)
	}
}

// judge says why a job failed, and after what time it is tried again; 0 is not at all.
func (s *Service) judge(j Job, err error) (code media.Reason, again time.Duration) {
	kind := vam.KindOf(err)
	code = media.ReasonOf(err)
	if code == "" {
		code = map[vam.ErrorKind]media.Reason{vam.Invalid: media.Broken, vam.Corrupt: media.Broken, vam.TooLarge: media.TooLarge}[kind]
	}
	if code == "" {
		code = media.Failed
	}
	if missing(code) || !kind.Temporary() || j.Attempts+1 >= s.o.Attempts {
		return code, 0
	}
	var asked time.Duration
	var e *vam.Error
	if errors.As(err, &e) {
		asked = min(max(0, e.RetryAfter), time.Hour)
	}
	return code, max(asked, 30*time.Second<<min(2*j.Attempts, 8))
}
