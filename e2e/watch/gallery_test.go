package watch_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam/e2e/watch"
	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/submission"
	"github.com/videoactivmail/vam/internal/web"
	"github.com/videoactivmail/vam/internal/web/webtest"

	"github.com/videoactivmail/vam"
)

const words = "Hello Carol,\n\nhere is the walk through the new workshop that I promised. The part about the lathe begins after twenty seconds.\n\nSee you on Friday,\nAlice"

// rightToLeft is a catalogue that is written from right to left: English in its letters,
// for the form alone.
func rightToLeft(t testing.TB) *web.Catalogue {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "internal", "web", "locales", "en.json"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(`"lang": "en"`, `"lang": "he"`, `"name": "English"`, `"name": "עברית"`, `"dir": "ltr"`, `"dir": "rtl"`,
		"Download the original", "הורדת המקור", "Verified sender", "שולח מאומת", `"Speed"`, `"מהירות"`, "Video mail by {host}", "דואר וידאו של {host}",
		"No cookies, no tracking, nothing from other servers.", "בלי עוגיות, בלי מעקב, בלי שרתים אחרים.", `"Keys"`, `"מקשים"`).Replace(string(data))
	c, err := web.ParseCatalogue([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func infoOf(width, height int, seconds float64) media.Info {
	d := time.Duration(seconds * float64(time.Second))
	return media.Info{Container: "mp4", Duration: d, Tracks: []media.Track{
		{ID: 1, Type: media.Video, Codec: "h264", PixelFormat: "yuv420p", BitDepth: 8, Width: width, Height: height, DisplayWidth: width, DisplayHeight: height, FrameRate: 25, Default: true, Duration: d},
		{ID: 2, Type: media.Audio, Codec: "aac", Profile: "LC", Channels: 1, SampleRate: 48000, Default: true, Duration: d},
	}}
}

func storyboard() string {
	var b strings.Builder
	b.WriteString("WEBVTT\n")
	for i := range 12 {
		fmt.Fprintf(&b, "\n00:00:%02d.000 --> 00:00:%02d.000\nstoryboard.jpg#xywh=%d,%d,160,90\n", i, i+1, i%4*160, i/4*90)
	}
	return b.String()
}

func peaks() string {
	var all []string
	for i := range 400 {
		all = append(all, fmt.Sprint((i*i*7+i*13)%(20+i%80)+5))
	}
	return `{"duration":12,"peaks":[` + strings.Join(all, ",") + `]}`
}

// gallery is one message in each state that the page knows.
type gallery struct {
	*webtest.Door
	links map[string]grant.Link
}

func newGallery(t *testing.T) *gallery {
	t.Helper()
	g := &gallery{Door: webtest.New(t, webtest.Options{Catalogues: []*web.Catalogue{rightToLeft(t)}}), links: map[string]grant.Link{}}
	file := mp4(t, "12", "640x360")
	board := clip(t, "board.jpg", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=1", "-vf", "tile=4x3", "-frames:v", "1")
	poster := picture(t, "1280x720")
	full := submission.Draft{Subject: "A walk through the new workshop", Text: words, Name: "workshop.mp4"}

	video := g.Send(full, file)
	g.Know(video, infoOf(640, 360, 12))
	g.Make(video, media.NewWork(media.Poster), map[string][]byte{media.PosterFile: poster})
	g.Make(video, media.NewWork(media.Storyboard), map[string][]byte{media.StoryboardFile: board, media.StoryboardTableFile: []byte(storyboard())})
	g.add("video", video, grant.Terms{})
	g.add("locked", video, grant.Terms{})

	tall := g.Send(submission.Draft{Subject: "Up the tower", Name: "tower.mp4"}, mp4(t, "3", "360x640"))
	g.Know(tall, infoOf(360, 640, 3))
	g.Make(tall, media.NewWork(media.Poster), map[string][]byte{media.PosterFile: picture(t, "360x640")})
	g.add("portrait", tall, grant.Terms{})

	voice := g.Send(submission.Draft{Kind: vam.Voice, Name: "voice.mp3", Text: "Please call me back."},
		clip(t, "voice.mp3", "-f", "lavfi", "-i", "sine=frequency=300:duration=12"))
	g.Know(voice, media.Info{Container: "mp3", Duration: 12 * time.Second, Tracks: []media.Track{{ID: 1, Type: media.Audio, Codec: "mp3", Default: true}}})
	g.Make(voice, media.NewWork(media.Peaks), map[string][]byte{media.PeaksFile: []byte(peaks())})
	g.add("voice", voice, grant.Terms{})

	hevc := infoOf(1920, 1080, 90)
	hevc.Container, hevc.Tracks[0].Codec, hevc.Tracks[1].Codec = "avi", "mpeg4", "ac3"
	g.unplayable("working", hevc, func(m message.Message) {
		g.Make(m, media.NewWork(media.Poster), map[string][]byte{media.PosterFile: poster})
		w := media.NewWork(media.Rendition)
		g.WorkOn(m, w, 0.43)
	})
	vvc := infoOf(320, 180, 5)
	vvc.Tracks[0].Codec = "vvc"
	g.unplayable("unsupported", vvc, nil)
	g.unplayable("file", media.Info{Container: "", Tracks: nil}, nil)

	arriving := g.Put(submission.Draft{Subject: "Still on its way", Name: "long.avi", Size: vam.Bytes(2 * len(file)), Text: words})
	g.Append(arriving.Key, file)
	g.Go(arriving.Key)
	g.add("arriving", arriving, grant.Terms{})

	taken := g.Send(submission.Draft{Subject: "Never mind", Name: "x.mp4"}, file)
	g.add("revoked", taken, grant.Terms{})
	if _, err := g.Submission.Revoke(t.Context(), g.Alice, taken.Key); err != nil {
		t.Fatal(err)
	}
	secret := g.Send(full, append([]byte(nil), file...))
	g.Know(secret, infoOf(640, 360, 12))
	g.add("password", secret, grant.Terms{Password: new("open sesame")})
	return g
}

func (g *gallery) add(name string, m message.Message, terms grant.Terms) {
	g.links[name] = g.Link(m.Key, terms)
}

func (g *gallery) unplayable(name string, info media.Info, then func(message.Message)) {
	m := g.Send(submission.Draft{Subject: "Holiday of 1999", Name: "holiday.avi"}, []byte(strings.Repeat(name, 300_000)))
	g.Know(m, info)
	if then != nil {
		then(m)
	}
	g.add(name, m, grant.Terms{})
}

// TestGallery looks at the page in every state: axe finds nothing, the browser complains
// of nothing, nothing is asked of another server and no cookie is set. With VAM_GALLERY
// set to a folder it leaves pictures there, for people to look at.
func TestGallery(t *testing.T) {
	g := newGallery(t)
	phone := &watch.Viewport{Width: 390, Height: 844, Mobile: true, Touch: true, PerPixel: 2}
	var jobs []watch.Job
	shot := func(name, link, query string, change func(*watch.Job)) {
		j := watch.Job{Name: name, URL: g.URL(g.links[link], "") + query, SettleMS: 300, Axe: true}
		if dir := os.Getenv("VAM_GALLERY"); dir != "" {
			j.Screenshot = filepath.Join(dir, name+".png")
		}
		if change != nil {
			change(&j)
		}
		jobs = append(jobs, j)
	}
	shot("light", "video", "", nil)
	shot("dark", "video", "?lang=de", func(j *watch.Job) { j.Dark = true })
	shot("phone", "video", "", func(j *watch.Job) { j.Viewport = phone })
	shot("phone-dark", "portrait", "?lang=de", func(j *watch.Job) { j.Viewport, j.Dark = phone, true })
	shot("noscript", "video", "", func(j *watch.Job) { j.NoScript, j.Axe = true, false })
	shot("rtl", "video", "?lang=he", nil)
	shot("narrow", "video", "", func(j *watch.Job) { j.Viewport = &watch.Viewport{Width: 320, Height: 640} })
	for _, name := range []string{"portrait", "voice", "working", "unsupported", "file", "arriving", "revoked", "password"} {
		shot(name, name, "", nil)
	}
	shot("voice-dark", "voice", "", func(j *watch.Job) { j.Dark = true })
	shot("working-phone", "working", "?lang=de", func(j *watch.Job) { j.Viewport = phone })
	jobs = append(jobs, watch.Job{Name: "missing", URL: g.Server.URL + "/w/nothing", Axe: true}, watch.Job{Name: "home", URL: g.Server.URL + "/", Axe: true})
	for _, r := range watch.Run(t, watch.Chromium, jobs...) {
		if r.Error != "" {
			t.Errorf("%s: %s", r.Name, r.Error)
		}
		for _, f := range r.Axe {
			t.Errorf("%s: axe %s (%s): %s\n\t%s", r.Name, f.ID, f.Impact, f.Help, strings.Join(f.Nodes, "\n\t"))
		}
		for _, line := range r.Console {
			if r.Status == 200 || !strings.Contains(line, "Failed to load resource") {
				t.Errorf("%s: the browser says %s", r.Name, line)
			}
		}
		for _, q := range r.Requests {
			if !strings.HasPrefix(q.URL, g.Server.URL+"/") {
				t.Errorf("%s: %s was asked for", r.Name, q.URL)
			}
		}
		if r.Cookies != "" {
			t.Errorf("%s: there is a cookie: %s", r.Name, r.Cookies)
		}
	}
}
