// Package corpus_test sends every recording of many cameras and encoders through the whole
// server and plays it in real browsers.
package corpus_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/videoactivmail/vam/e2e/watch"
	"github.com/videoactivmail/vam/internal/golden"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/playback"
)

var only = flag.String("only", "", "part of the names of the recordings that are looked at")

// folder has the recordings; docs/corpus.md is about them.
var (
	folder = filepath.Join("..", "..", "..", "shared", "media")
	report = filepath.Join("..", "..", "docs", "corpus.md")
)

// sample is one recording on its way.
type sample struct {
	name  string
	size  int64
	want  want
	key   message.Key
	url   string
	state playback.State
	seen  map[string]watch.Result // by browser
}

// TestCorpus: every recording plays in Chromium, and a sample of them in Firefox (all of
// them with VAM_SOAK=1), upright, with its length and its sound; or the page names the
// reason why not. A clone without the recordings is tested with some that are made here.
func TestCorpus(t *testing.T) {
	samples := shared(t)
	known := len(samples) > 0
	if !known {
		t.Logf("%s is not there: left out are its recordings; some that are made here take their place", folder)
		samples = generated(t)
	}
	s := newServer(t)
	for _, x := range samples {
		data, err := os.ReadFile(filepath.Join(folder, x.name))
		if !known {
			data, err = os.ReadFile(x.name)
		}
		must(t, err)
		x.size = int64(len(data))
		x.key, x.url = s.send(filepath.Base(x.name), data)
	}
	for _, x := range samples {
		x.state = s.settled(x.key)
	}
	play(t, watch.Chromium, samples)
	play(t, watch.Firefox, slices.DeleteFunc(slices.Clone(samples), func(x *sample) bool {
		return !x.want.firefox && os.Getenv("VAM_SOAK") == "" && !golden.Updating()
	}))
	for _, x := range samples {
		t.Run(filepath.Base(x.name), func(t *testing.T) { x.check(t) })
	}
	if known && *only == "" {
		checkReport(t, samples)
	}
}

// shared are the recordings of the shared folder; none when it is not there.
func shared(t *testing.T) (out []*sample) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if os.IsNotExist(err) {
		return nil
	}
	must(t, err)
	table := expected()
	for _, e := range entries {
		if e.Name() == "README.md" || !strings.Contains(e.Name(), *only) {
			delete(table, e.Name())
			continue
		}
		w, ok := table[e.Name()]
		if !ok {
			t.Errorf("%s is new: say in expected what is to become of it", e.Name())
		}
		delete(table, e.Name())
		out = append(out, &sample{name: e.Name(), want: w, seen: map[string]watch.Result{}})
	}
	for name := range table {
		t.Errorf("%s is not there any more", name)
	}
	return out
}

// play opens every page, some at a time, and plays those that should play.
func play(t *testing.T, browser string, samples []*sample) {
	t.Helper()
	const pages = 12
	for group := range slices.Chunk(samples, pages) {
		var jobs []watch.Job
		for _, x := range group {
			j := watch.Job{Name: filepath.Base(x.name), URL: x.url, TimeoutMS: 20_000}
			j.Play, j.PlayMS = x.want.play != media.PlayNone, 1000
			j.Sound = browser == watch.Firefox && x.want.sound && !x.want.pictures()
			j.Evaluate = `document.querySelector("main").innerText`
			jobs = append(jobs, j)
		}
		for i, r := range watch.Run(t, browser, jobs...) {
			group[i].seen[browser] = r
		}
	}
}

// tolerance is how far a length may be off.
const tolerance = 0.1

func (x *sample) check(t *testing.T) {
	w, st := x.want, x.state
	if st.Play != w.play || st.Reason != w.reason {
		t.Errorf("it plays as %q (%s), want %q (%s); %s", st.Play, st.Reason, w.play, w.reason, st.Verdict.Detail)
	}
	for _, j := range st.Jobs {
		if j.State == playback.Failed && w.play != media.PlayNone && !w.broken {
			t.Errorf("%s failed: %s", j.Work, j.Reason)
		}
	}
	if _, ok := st.Asset(media.PosterFile); ok != w.pictures() {
		t.Errorf("a poster: %t, want %t", ok, w.pictures())
	}
	for browser, r := range x.seen {
		if r.Status != 200 || r.Error != "" {
			t.Errorf("%s: %d %s", browser, r.Status, r.Error)
			continue
		}
		said := strings.Contains(string(r.Value), "could not play it")
		if !strings.Contains(string(r.Value), "Download the original") || said && !w.broken {
			t.Errorf("%s: the page says %s; %+v %v", browser, r.Value, r.Player, r.Console)
		}
		if w.play == media.PlayNone || w.broken && said {
			continue
		}
		x.checkPlayed(t, browser, r)
	}
}

func (x *sample) checkPlayed(t *testing.T, browser string, r watch.Result) {
	w, p := x.want, r.Player
	if p == nil || r.Started.Ready != "plays" {
		t.Errorf("%s does not play it: %q %+v", browser, r.Started.Ready, p)
		return
	}
	if p.Reached <= p.First && !p.Ended {
		t.Errorf("%s: the clock stands at %.3f s", browser, p.Reached)
	}
	if math.Abs(p.Duration-w.seconds) > tolerance {
		t.Errorf("%s: it is %.3f s long, want %.3f", browser, p.Duration, w.seconds)
	}
	if p.Width*w.height != p.Height*w.width && (abs(p.Width-w.width) > 2 || abs(p.Height-w.height) > 2) {
		t.Errorf("%s: the picture has %d × %d pixels, want the form of %d × %d", browser, p.Width, p.Height, w.width, w.height)
	}
	if w.pictures() && w.seconds > 0.5 && !w.still && p.Pictures < 2 {
		t.Errorf("%s: %d different pictures were seen", browser, p.Pictures)
	}
	sound := p.AudioBytes > 0
	if browser == watch.Firefox { // which tells it only of pictures with sound
		sound = p.HasAudio != nil && *p.HasAudio || r.Sound != nil && r.Sound.Error == "" && r.Sound.Seconds > 0
	}
	if sound != w.sound {
		t.Errorf("%s: sound is %t, want %t; %+v %+v", browser, sound, w.sound, *p, r.Sound)
	}
}

func abs(n int) int { return max(n, -n) }

// checkReport holds docs/corpus.md to what happened, or writes it.
func checkReport(t *testing.T, samples []*sample) {
	t.Helper()
	var b strings.Builder
	b.WriteString(reportHead)
	for _, x := range samples {
		b.WriteString(x.row())
	}
	b.WriteString("\nThis page is generated from the test that plays them (`make corpus`).\n")
	golden.Compare(t, report, b.String())
}

const reportHead = `# What becomes of recordings

Every recording of the test corpus, from phones, cameras, screen recorders and browsers, sound ones and broken ones: what
it is, how it reaches a browser, and what is made of it beside. *Original*: as it is. *View*: its own coded pictures and
sound in other boxes, computed while it is served, not a second copy. *Rendition*: made by ffmpeg. Each one was played in
Chromium and Firefox from its watch page: the clock moved, pictures changed, sound was decoded, form and length were right
within 100 ms. Whatever does not play can be downloaded as it was sent.

| file | what it is | plays as | why | made of it |
|---|---|---|---|---|
`

func (x *sample) row() string {
	st := x.state
	plays := string(st.Play)
	if st.Play == media.PlayNone {
		plays = "no"
	}
	why := st.Verdict.Detail
	if st.Reason != "" {
		why = st.Reason.Sentence()
	}
	var made []string
	for _, a := range st.Assets {
		made = append(made, a.Name)
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", x.name, describe(st.Info), plays, why, strings.Join(made, ", "))
}

func describe(i media.Info) string {
	if i.Container == "" {
		return "not known"
	}
	words := []string{i.Container}
	if v := i.Video(); v != nil {
		words = append(words, fmt.Sprintf("%s %d × %d", named(v.Codec), v.Width, v.Height))
		if v.Rotation != 0 {
			words = append(words, fmt.Sprintf("turned by %d°", v.Rotation))
		}
		if v.Colour.HDR() {
			words = append(words, "HDR")
		}
	}
	if a := i.Audio(); a != nil {
		words = append(words, named(a.Codec))
	}
	if i.Encrypted {
		words = append(words, "encrypted")
	}
	if i.Duration > 0 {
		words = append(words, fmt.Sprintf("%.1f s", i.Duration.Seconds()))
	}
	return strings.Join(words, ", ")
}

func named(codec string) string {
	if codec == "" {
		return "unknown codec"
	}
	return codec
}
