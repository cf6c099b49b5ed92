package web

import (
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/playback"
)

// Stages of the page: what stands where the player is.
const (
	stageVideo = "video"
	stageVoice = "voice"
	stageWait  = "wait" // nothing plays yet
	stageFile  = "file" // nothing plays
)

// sentence is what the page says about the message: one sentence, within it perhaps a
// moment, and how far something has come.
type sentence struct {
	Sentence string
	Since    time.Time // zero: none
	After    string    // behind the moment
	Percent  int       // -1: not known

	words *Catalogue
}

// SinceISO is for machines.
func (s sentence) SinceISO() string { return s.Since.UTC().Format(time.RFC3339) }

// SinceText is for people.
func (s sentence) SinceText() string { return s.words.when(s.Since) }

// say makes a sentence of a text; a place {date} in it is for Since.
func (c *Catalogue) say(key string, args ...any) (sentence, error) {
	text, err := c.text(key, args...)
	return sentence{Sentence: text, Percent: -1, words: c}, err
}

func (c *Catalogue) sayTime(t time.Time, key string, args ...any) (sentence, error) {
	s, err := c.say(key, args...)
	s.Sentence, s.After, _ = strings.Cut(s.Sentence, "{date}")
	s.Since = t
	return s, err
}

// look is what the page is made from.
type look struct {
	state   playback.State
	arrival arrival
	engine  string
	// sentPoster says that a picture was sent along.
	sentPoster bool
	// fresh says that the message came a moment ago: what is made of it is still to come.
	fresh bool
}

// stage says what stands where the player is.
func (l look) stage() string {
	if l.state.Play != media.PlayNone {
		if l.kind() == vam.Voice {
			return stageVoice
		}
		return stageVideo
	}
	if l.arrival.failed || l.state.Reason != "" && !l.state.Working {
		return stageFile
	}
	return stageWait
}

// kind is what plays. What could not be looked into is taken for what its container
// mostly holds.
func (l look) kind() vam.Kind {
	if l.state.Known {
		return l.state.Info.Kind()
	}
	switch l.state.Info.Container {
	case "mp3", "wav", "flac", "ogg", "adts":
		return vam.Voice
	}
	return vam.Video
}

// waiting reports whether the page will change by itself.
func (l look) waiting() bool {
	return !l.arrival.failed && !l.arrival.complete || l.state.Working || l.posterComes()
}

// posterComes reports whether there will be a picture before long.
func (l look) posterComes() bool {
	if !l.fresh || l.stage() != stageVideo || l.poster("") != "" {
		return false
	}
	job, there := l.state.Job(media.Poster)
	if there {
		return job.State != playback.Failed
	}
	return len(l.state.Jobs)+len(l.state.Assets) == 0 // nobody has looked at it yet
}

// status says in one sentence what the reader should know; it is empty when all is well.
func (l look) status(c *Catalogue) (sentence, error) {
	a, st, stage := l.arrival, l.state, l.stage()
	switch {
	case a.failed && a.here == 0:
		return c.say("state.failed.all")
	case a.failed:
		return c.say("state.failed")
	case !a.complete:
		return a.status(c)
	case stage == stageFile:
		key := "reason." + string(st.Reason)
		if !c.has(key) {
			key = "reason.failed"
		}
		return c.say(key)
	case st.Info.NoPicture:
		return c.say("state.no-picture")
	case stage == stageWait && !st.Known:
		return c.say("state.looking")
	case stage == stageWait:
		return l.converting(c)
	case st.Working && l.engine != "" && !st.Verdict.In(l.engine) && len(st.Renditions()) == 0:
		return c.say("state.elsewhere")
	}
	return sentence{Percent: -1, words: c}, nil
}

func (l look) converting(c *Catalogue) (sentence, error) {
	job, ok := l.state.Job(media.Rendition)
	percent := int(100 * job.Progress)
	if !ok || percent < 1 {
		return c.say("state.working")
	}
	s, err := c.say("state.working.part", "percent", percent)
	s.Percent = percent
	return s, err
}

func (a arrival) status(c *Catalogue) (s sentence, err error) {
	args := []any{"here", c.size(a.here), "size", c.size(a.size)}
	switch {
	case !a.since.IsZero() && a.size > 0:
		s, err = c.sayTime(a.since, "state.stalled.part", args...)
	case !a.since.IsZero():
		s, err = c.sayTime(a.since, "state.stalled")
	case a.live && a.here > 0:
		s, err = c.say("state.arriving.live", args...)
	case a.here == 0 || a.size == 0:
		s, err = c.say("state.arriving")
	default:
		s, err = c.say("state.arriving.part", args...)
	}
	s.Percent = a.percent()
	return s, err
}

// engineOf guesses the browser's engine; "" is not known. Only the order of sources
// hangs on it.
func engineOf(agent string) string {
	switch {
	case strings.Contains(agent, "Firefox/"):
		return media.Firefox
	case strings.Contains(agent, "Chrome/"), strings.Contains(agent, "Chromium/"):
		return media.Chromium
	case strings.Contains(agent, "AppleWebKit/"):
		return media.Safari // every browser of an iPhone, whatever it calls itself
	}
	return ""
}
