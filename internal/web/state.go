package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/videoactivmail/vam/internal/playback"
)

// How long a request for news is held.
const (
	waitForNews    = 25 * time.Second
	waitForArrival = 2 * time.Second // what arrives has no event of its own
)

// stateAnswer is the news that a page asks for.
type stateAnswer struct {
	// Version is that of the page: another one is worth loading it again.
	Version string `json:"version"`
	// Tag names this answer: with ?tag= the next one waits for another.
	Tag      string `json:"tag"`
	Playable bool   `json:"playable"`
	// Poster is the picture before the first play.
	Poster string `json:"poster,omitempty"`
	// Live says that there will be news.
	Live     bool   `json:"live"`
	Sentence string `json:"sentence"`
	Since    string `json:"since,omitempty"` // RFC 3339; shown behind Sentence and before After
	After    string `json:"after,omitempty"`
	Percent  int    `json:"percent"` // -1: not known
}

// state tells a page how things stand, and may wait until they stand otherwise.
func (v *visit) state() error {
	m, err := v.h.o.Messages.Get(v.Context(), v.grant.Key)
	if err != nil {
		return err
	}
	wait := waitForNews
	if !m.Complete {
		wait = waitForArrival
	}
	a, err := v.news(wait)
	if err != nil {
		return err
	}
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "application/json")
	writeWhole(v.w, v.Request, http.StatusOK, append(body, '\n'))
	return nil
}

// news is the present state, waited for when it is that of the request's tag. Of too many
// who wait the next ones are answered at once.
func (v *visit) news(wait time.Duration) (stateAnswer, error) {
	st, err := v.h.o.Playback.State(v.Context(), v.grant.Key)
	if err != nil {
		return stateAnswer{}, err
	}
	a, err := v.answer(st)
	if err != nil || v.Method == http.MethodHead || v.URL.Query().Get("tag") != a.Tag {
		return a, err
	}
	select {
	case v.h.waiters <- struct{}{}:
		defer func() { <-v.h.waiters }()
	default:
		return a, nil
	}
	ctx, cancel := context.WithTimeout(v.Context(), wait)
	defer cancel()
	defer context.AfterFunc(v.h.o.Stopping, cancel)()
	if st, err = v.h.o.Playback.Wait(ctx, v.grant.Key, st.Tag); err != nil {
		return stateAnswer{}, err
	}
	return v.answer(st)
}

// answer says how things stand.
func (v *visit) answer(st playback.State) (stateAnswer, error) {
	m, err := v.h.o.Messages.Get(v.Context(), v.grant.Key)
	if err == nil {
		err = v.h.o.Messages.Gone(m)
	}
	if err != nil {
		return stateAnswer{}, err
	}
	l, err := v.look(m, st)
	if err != nil {
		return stateAnswer{}, err
	}
	s, err := l.status(v.words)
	if err != nil {
		return stateAnswer{}, err
	}
	stage := l.stage()
	a := stateAnswer{
		Version: l.version(v.at.base()), Playable: stage == stageVideo || stage == stageVoice, Live: l.waiting(),
		Poster:   l.poster(v.at.base()),
		Sentence: s.Sentence, After: s.After, Percent: s.Percent,
		Tag: fmt.Sprintf("%s.%d", st.Tag, l.arrival.here),
	}
	if !s.Since.IsZero() {
		a.Since = s.SinceISO()
	}
	return a, nil
}
