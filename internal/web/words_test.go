package web_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/web"
)

func catalogues(t testing.TB) (en, de *web.Catalogue) {
	t.Helper()
	all, err := web.OwnCatalogues()
	if err != nil {
		t.Fatal(err)
	}
	return all[0], all[1]
}

// TestCatalogues have the same texts with the same places, both ways.
func TestCatalogues(t *testing.T) {
	en, de := catalogues(t)
	if err := de.Complete(en); err != nil {
		t.Error(err)
	}
	if err := en.Complete(de); err != nil {
		t.Error(err)
	}
	broken := *de
	broken.Texts = map[string]string{}
	if err := broken.Complete(en); vam.KindOf(err) != vam.Invalid {
		t.Errorf("a catalogue without texts: %v", err)
	}
	for _, r := range media.Reasons() {
		for _, c := range []*web.Catalogue{en, de} {
			if c.Texts["reason."+string(r)] == "" {
				t.Errorf("%s has no words for %s", c.Lang, r)
			}
		}
	}
}

// TestEveryTextIsUsed keeps catalogues short: what is translated is shown.
func TestEveryTextIsUsed(t *testing.T) {
	en, _ := catalogues(t)
	var source strings.Builder
	for _, pattern := range []string{"*.go", "templates/*.html"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(data)
		}
	}
	composed := regexp.MustCompile(`^(reason|duration|video|voice|file)\.`)
	for key := range en.Texts {
		if !composed.MatchString(key) && !strings.Contains(source.String(), `"`+key+`"`) {
			t.Errorf("the text %q is not used", key)
		}
	}
}

func TestWords(t *testing.T) {
	en, de := catalogues(t)
	for _, tc := range []struct {
		got, want string
	}{
		{en.Size(0), "0 B"},
		{en.Size(999), "999 B"},
		{en.Size(1000), "1 kB"},
		{en.Size(4_139_823), "4.1 MB"},
		{de.Size(4_139_823), "4,1 MB"},
		{en.Size(999_960_000), "1 GB"},
		{en.Size(123_456_789), "123 MB"},
		{en.Size(10_000_000), "10 MB"},
		{web.Clock(0), "0:00"},
		{web.Clock(83 * time.Second), "1:23"},
		{web.Clock(59*time.Minute + 59600*time.Millisecond), "1:00:00"},
		{web.Clock(3723 * time.Second), "1:02:03"},
		{en.Spoken(83 * time.Second), "1 minute 23 seconds"},
		{en.Spoken(3601 * time.Second), "1 hour 1 second"},
		{de.Spoken(2*time.Hour + 60*time.Second), "2 Stunden 1 Minute"},
		{en.Spoken(0), "0 seconds"},
		{en.When(time.Date(2026, 3, 1, 7, 5, 0, 0, time.UTC)), "1 March 2026, 07:05 UTC"},
		{de.When(time.Date(2026, 3, 1, 7, 5, 0, 0, time.UTC)), "1. März 2026, 07:05 UTC"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
}

func TestLanguage(t *testing.T) {
	en, de := catalogues(t)
	all := []*web.Catalogue{en, de}
	for header, want := range map[string]string{
		"":                               "en",
		"de":                             "de",
		"de-AT,de;q=0.9,en;q=0.8":        "de",
		"fr, de;q=0.3":                   "de",
		"fr":                             "en",
		"en;q=0.5, de;q=0.7":             "de",
		"de;q=0, en;q=0.1":               "en",
		"*, de;q=0.5":                    "en",
		"de;q=huge, en":                  "en",
		"DE-de":                          "de",
		strings.Repeat("xx,", 50) + "de": "en",
		",,,":                            "en",
	} {
		if got := web.Preferred(all, header).Lang; got != want {
			t.Errorf("%q gives %s, want %s", header, got, want)
		}
	}
}

func FuzzLanguage(f *testing.F) {
	for _, s := range []string{"", "de-AT,de;q=0.9", "*;q=0.1,en", ";;;,,q=", "de;q=NaN"} {
		f.Add(s)
	}
	en, de := catalogues(f)
	f.Fuzz(func(t *testing.T, header string) {
		if c := web.Preferred([]*web.Catalogue{en, de}, header); c != en && c != de {
			t.Errorf("%q gives %v", header, c)
		}
	})
}

func TestEngine(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0":                                                                  media.Firefox,
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36":                                   media.Chromium,
		"Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1": media.Safari,
		"Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/156.0 Mobile/15E148 Safari/604.1":  media.Safari,
		"curl/8.0": "",
	} {
		if got := web.EngineOf(agent); got != want {
			t.Errorf("%q is %q, want %q", agent, got, want)
		}
	}
}

func TestWave(t *testing.T) {
	path, width := web.DrawWave(strings.NewReader(`{"duration":2,"peaks":[0,50,100,1000,-3]}`))
	if want := "M2 48v4M6 27v46M10 4v92M14 4v92M18 48v4"; path != want || width != 20 {
		t.Errorf("%q, %d; want %q", path, width, want)
	}
	for _, bad := range []string{"", "{}", `{"peaks":"x"}`, `{"peaks":[`} {
		if path, _ := web.DrawWave(strings.NewReader(bad)); path != "" {
			t.Errorf("%q is drawn as %q", bad, path)
		}
	}
}

func FuzzWave(f *testing.F) {
	f.Add(`{"duration":2,"peaks":[0,50,100]}`)
	f.Add(`{"peaks":[1e308,-1e308,0.5]}`)
	plain := regexp.MustCompile(`^(M\d+ \d+v\d+)*$`)
	f.Fuzz(func(t *testing.T, file string) {
		if path, _ := web.DrawWave(strings.NewReader(file)); !plain.MatchString(path) {
			t.Errorf("%q is drawn as %q", file, path)
		}
	})
}
