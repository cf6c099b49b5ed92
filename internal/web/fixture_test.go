package web_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/playback"
	"github.com/videoactivmail/vam/internal/submission"
	"github.com/videoactivmail/vam/internal/web"
	"github.com/videoactivmail/vam/internal/web/webtest"
)

// noise is content that nothing else has.
func noise(n int) []byte {
	seed := [32]byte{byte(n), byte(n >> 8), byte(n >> 16)}
	out := make([]byte, n)
	_, _ = rand.NewChaCha8(seed).Read(out) // never fails
	return out
}

// ordinary is what a phone records and every browser plays.
func ordinary() media.Info {
	return media.Info{Container: "mp4", Duration: 12 * time.Second, Tracks: []media.Track{
		{
			ID: 1, Type: media.Video, Codec: "h264", RFC6381: "avc1.64001f", PixelFormat: "yuv420p", BitDepth: 8,
			Width: 640, Height: 360, DisplayWidth: 640, DisplayHeight: 360, FrameRate: 25, Default: true,
		},
		{ID: 2, Type: media.Audio, Codec: "aac", RFC6381: "mp4a.40.2", Profile: "LC", Channels: 2, SampleRate: 48000, Default: true},
	}}
}

// strange is what no browser plays and the server converts.
func strange() media.Info {
	i := ordinary()
	i.Container, i.Tracks[0].Codec, i.Tracks[0].RFC6381, i.Tracks[1].Codec = "avi", "mpeg4", "", "ac3"
	return i
}

// sent is a message that plays, with a link.
func sent(t *testing.T, d *webtest.Door, size int) (message.Message, grant.Link) {
	t.Helper()
	m := d.Send(submission.Draft{Subject: "The secret workshop", Text: "Dear Carol", Name: "Werkstatt & café.mp4"}, noise(size))
	d.Know(m, ordinary())
	return m, d.Link(m.Key, grant.Terms{})
}

func wantStatus(t *testing.T, a webtest.Answer, status int) {
	t.Helper()
	if a.Status != status {
		t.Fatalf("status %d, want %d: %.300s", a.Status, status, a.Body)
	}
}

// wantWords fails unless the page has all of them, as HTML writes them.
func wantWords(t *testing.T, a webtest.Answer, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(a.Body, w) {
			t.Errorf("the page lacks %q: %.4000s", w, a.Body)
		}
	}
}

func wantBody(t *testing.T, a webtest.Answer, want []byte) {
	t.Helper()
	if !bytes.Equal([]byte(a.Body), want) {
		t.Fatalf("%d octets are others than the %d that are wanted", len(a.Body), len(want))
	}
}

// silent is a writer of logs that fails the test when a secret is in it.
type silent struct {
	t       *testing.T
	secrets []string
	lines   int
}

func (s *silent) Write(p []byte) (int, error) {
	s.lines++
	for _, secret := range s.secrets {
		if strings.Contains(string(p), secret) {
			s.t.Errorf("a secret is logged: %s", p)
		}
	}
	return len(p), nil
}

func playbackFilter(m message.Message) playback.Filter { return playback.Filter{Media: m.Media} }

// failedEntries says of every message that it could not be fetched.
type failedEntries struct{ web.Entries }

func (f failedEntries) Entry(ctx context.Context, account int64, origin vam.Domain, id vam.MessageID) (mailbox.Entry, error) {
	e, err := f.Entries.Entry(ctx, account, origin, id)
	e.State = mailbox.Failed
	return e, err
}
