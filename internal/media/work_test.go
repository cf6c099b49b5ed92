package media_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/media"
)

// TestWorkText holds the form that is stored: a change of it would orphan jobs.
func TestWorkText(t *testing.T) {
	all := media.NewWork(media.Rendition)
	all.Short, all.CopyVideo, all.CopyAudio = 480, true, true
	for want, w := range map[string]media.Work{
		"probe":      media.NewWork(media.Probe),
		"poster":     media.NewWork(media.Poster),
		"rendition":  media.NewWork(media.Rendition),
		"storyboard": media.NewWork(media.Storyboard),
		"preview":    media.NewWork(media.Preview),
		"peaks":      media.NewWork(media.Peaks),
		"captions":   media.NewWork(media.Captions),

		"rendition;short=480;copy=video;copy=audio": all,
	} {
		got, err := media.ParseWork(want)
		if w.String() != want || err != nil || got != w {
			t.Errorf("%q: %q, and back %+v %v", want, w, got, err)
		}
	}
	for _, s := range []string{"", "poster;", "poster;short=1", "rendition;short=0", "rendition;short=-1", "rendition;short=+1", "rendition;short=x", "rendition;copy=audio;copy=video", "rendition;copy=text", "Poster", "movie", "rendition;short=480;short=480"} {
		if w, err := media.ParseWork(s); vam.KindOf(err) != vam.Invalid {
			t.Errorf("ParseWork(%q) = %+v, %v", s, w, err)
		}
	}
}

func FuzzParseWork(f *testing.F) {
	for _, s := range []string{"probe", "rendition;short=480;copy=video;copy=audio", "rendition;short=99999999999999999999", "captions;x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if w, err := media.ParseWork(s); err == nil && w.String() != s {
			t.Errorf("%q reads as %+v and writes as %q", s, w, w)
		}
	})
}

// TestInfoIsStored: the reading of what was written is what was written.
func TestInfoIsStored(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyInfo().Draw(t, "info")
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got media.Info
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if len(want.Tracks) == 0 {
			want.Tracks = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestReasons: each has a sentence for people, a kind, and can be found again in an error.
func TestReasons(t *testing.T) {
	seen := map[string]media.Reason{}
	for _, r := range media.Reasons() {
		s := r.Sentence()
		if other, twice := seen[s]; twice || s == "" {
			t.Errorf("%s and %s say %q", r, other, s)
		}
		seen[s] = r
		cause := errors.New("what the operator sees")
		err := error(media.Refuse(r, cause))
		if media.ReasonOf(err) != r || vam.KindOf(err) != r.Kind() || !errors.Is(err, cause) {
			t.Errorf("Refuse(%s) is %v with the reason %q", r, err, media.ReasonOf(err))
		}
		if r != media.Failed && vam.Public(err) != s {
			t.Errorf("Refuse(%s) says %q in public", r, vam.Public(err))
		}
	}
	if got := media.ReasonOf(errors.New("x")); got != "" {
		t.Errorf("an error without a reason has %q", got)
	}
	if got := media.Reason("").Sentence(); got != "" {
		t.Errorf("no reason says %q", got)
	}
}

// TestReasonsAreClassed: what lies in the recording is not tried again.
func TestReasonsAreClassed(t *testing.T) {
	for _, r := range media.Reasons() {
		want := r == media.NoSandbox || r == media.NoFFmpeg || r == media.Failed
		if got := r.Kind().Temporary(); got != want {
			t.Errorf("%s is temporary: %v", r, got)
		}
	}
}
