package web

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/letter"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/playback"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

// refreshAfter is how often a browser without script loads a page again that changes, in
// seconds.
const refreshAfter = 10

// freshFor is how long after its end a recording may have no picture yet.
const freshFor = 2 * time.Minute

// watchPage is what the template watch shows.
type watchPage struct {
	*frame
	StateURL, PlayedURL string
	Version             string
	Live                bool // it will change by itself

	Stage    string
	Portrait bool
	Poster   string
	Sources  []source
	Captions []caption
	Width    int
	Height   int
	Speeds   []speed

	Storyboard string
	Wave       string // an SVG path, WaveWidth × 100
	WaveWidth  int

	Status sentence

	Sender        sender
	Date, DateISO string
	Clock, Spoken string
	Text          string
	Download      string
	What          string
}

// sender is who wrote the message, as the server that took it has verified.
type sender struct {
	Name, Initial string
	Address       string
	Domain        string
}

type speed struct {
	Value, Label string
	Usual        bool
}

// page shows the message behind a link.
func (v *visit) page() error {
	m, err := v.h.o.Messages.Get(v.Context(), v.grant.Key)
	if err != nil {
		return err
	}
	st, err := v.h.o.Playback.State(v.Context(), v.grant.Key)
	if err != nil {
		return err
	}
	l, err := v.look(m, st)
	if err != nil {
		return err
	}
	p, err := v.build(m, l)
	if err != nil {
		return err
	}
	return v.render("watch", http.StatusOK, p)
}

func (v *visit) look(m message.Message, st playback.State) (look, error) {
	a, err := v.arrival(m)
	_, sent := v.sentPoster(m)
	fresh := v.h.o.Now().Sub(m.Head.SealedAt) < freshFor
	return look{state: st, arrival: a, engine: engineOf(v.UserAgent()), sentPoster: sent, fresh: fresh}, err
}

func (v *visit) build(m message.Message, l look) (*watchPage, error) {
	base := v.at.base()
	p := &watchPage{
		frame: v.frame(), StateURL: base + "/state", PlayedURL: base + "/played", Stage: l.stage(), Live: l.waiting(),
		Poster: l.poster(base), Sources: l.sources(base), Version: l.version(base),
	}
	var err error
	if p.Status, err = l.status(v.words); err != nil {
		return nil, err
	}
	p.Script = true
	p.Card = v.card(m.Kind)
	if p.Live && p.Stage == stageWait {
		p.Refresh = refreshAfter
	}
	v.describe(p, m)
	if err := v.describePlayer(p, l, base); err != nil {
		return nil, err
	}
	v.describeDownload(p, m, l, base)
	return p, nil
}

// describe says who wrote what and when.
func (v *visit) describe(p *watchPage, m message.Message) {
	p.Sender = v.sender(m)
	p.Heading = rfc5322.Clean(m.Subject, letter.MaxSubject)
	if p.Heading == "" {
		p.Heading = p.mustT(string(m.Kind) + ".untitled")
	}
	who := p.Sender.Name
	if who == "" {
		who = p.Sender.Address
	}
	p.Title = p.mustT("title.from", "title", p.Heading, "sender", who)
	if at := firstTime(m.SentAt, m.Created); !at.IsZero() {
		p.Date, p.DateISO = v.words.when(at), at.UTC().Format(time.RFC3339)
	}
	p.Text = strings.TrimSpace(m.Text)
}

func firstTime(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// sender names the author. The name is what the mail says and never stands alone.
func (v *visit) sender(m message.Message) sender {
	s := sender{Address: m.Author.String(), Domain: m.Author.Domain.String()}
	if raw, err := v.h.o.Messages.Mail(v.Context(), m.Key); err == nil {
		if view, err := letter.Read(raw); err == nil && view.From.Addr.Key() == m.Author.Key() {
			s.Name = rfc5322.Clean(view.From.Name, rfc5322.MaxName)
		}
	}
	for _, r := range s.Name + s.Address {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			s.Initial = string(unicode.ToUpper(r))
			break
		}
	}
	return s
}

func (v *visit) describePlayer(p *watchPage, l look, base string) (err error) {
	info := l.state.Info
	if d := info.Duration; d > 0 {
		p.Clock = clock(d)
		if p.Spoken, err = v.words.spoken(d); err != nil {
			return err
		}
	}
	if t := info.Video(); t != nil && t.DisplayWidth > 0 && t.DisplayHeight > 0 {
		p.Width, p.Height = t.DisplayWidth, t.DisplayHeight
		p.Portrait = t.DisplayHeight > t.DisplayWidth
	}
	if p.Captions, err = l.captions(base, v.words); err != nil {
		return err
	}
	if _, ok := l.state.Asset(media.StoryboardTableFile); ok && p.Stage == stageVideo {
		p.Storyboard = base + "/" + media.StoryboardTableFile
	}
	if p.Stage == stageVoice {
		p.Wave, p.WaveWidth = v.wave(v.Context())
	}
	for _, s := range []string{"0.5", "0.75", "1", "1.25", "1.5", "1.75", "2"} {
		p.Speeds = append(p.Speeds, speed{s, strings.Replace(s, ".", v.words.Decimal, 1) + " ×", s == "1"})
	}
	return nil
}

// describeDownload names the original as its sender did.
func (v *visit) describeDownload(p *watchPage, m message.Message, l look, base string) {
	if l.arrival.failed || l.arrival.here == 0 && !l.arrival.complete {
		return
	}
	p.Download = base + "/original"
	name, known := v.fileName(m)
	switch size := v.words.size(l.arrival.size); {
	case known && l.arrival.size > 0:
		p.What = p.mustT("download.what", "name", name, "size", size)
	case known:
		p.What = name
	case l.arrival.size > 0:
		p.What = size
	}
}

// fileName is the name of the original as its sender gave it, else one that is made up.
func (v *visit) fileName(m message.Message) (name string, known bool) {
	seal, err := v.h.o.Messages.SealRecord(v.Context(), m)
	if err == nil && seal.Name != "" {
		return seal.Name, true
	}
	return "message-" + string(m.ID), false
}

// version changes when the page would have another form: other sources, another stage.
func (l look) version(base string) string {
	h := sha256.New()
	_, board := l.state.Asset(media.StoryboardTableFile)
	fmt.Fprintln(h, l.stage(), l.sources(base), l.poster(base), board, l.state.Reason, l.arrival.failed)
	for n := range l.state.Info.Texts() {
		_, ok := l.state.Asset(media.CaptionsFile(n))
		fmt.Fprintln(h, n, ok)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:9])
}

// wave draws the peaks of a sound; "" when there are none.
func (v *visit) wave(ctx context.Context) (path string, width int) {
	r, err := v.h.o.Playback.Open(ctx, v.grant.Key, media.PeaksFile)
	if err != nil {
		if vam.KindOf(err) != vam.NotFound {
			v.h.o.Log.Warn("the wave form of a message cannot be read", "message", v.grant.Key.String(), "err", err)
		}
		return "", 0
	}
	defer func() { _ = r.Close() }()
	return drawWave(r)
}
