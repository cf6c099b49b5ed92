package config_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/config"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0s": 0, "30s": 30 * time.Second, "1m30s": 90 * time.Second, "4h": 4 * time.Hour,
		"14d": 14 * 24 * time.Hour, "1d12h": 36 * time.Hour, "1d0.5s": 24*time.Hour + 500*time.Millisecond,
	} {
		var d config.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.Duration != want {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
	for _, text := range []string{"", "14", "d", "-1h", "1d-1h", "1h1d", "36501d", "99999999h", "1w", "forever"} {
		var d config.Duration
		if err := d.UnmarshalText([]byte(text)); vam.KindOf(err) != vam.Invalid || err == nil {
			t.Errorf("%q: %v, %v", text, d, err)
		}
	}
}

func TestDurationRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := config.Duration{Duration: time.Duration(rapid.Int64Range(0, int64(365*24*time.Hour)).Draw(t, "ns"))}
		if rapid.Bool().Draw(t, "whole minutes") {
			d.Duration = d.Truncate(time.Minute)
		}
		var again config.Duration
		if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d {
			t.Fatalf("%d is written as %s and read as %d (%v)", d.Duration, d, again.Duration, err)
		}
	})
}

func TestRate(t *testing.T) {
	for text, want := range map[string]config.Rate{
		"20/h":             {20, time.Hour, 20},
		"2000/h burst 200": {2000, time.Hour, 200},
		"1 / 10m burst 0":  {1, 10 * time.Minute, 0},
		"0/s":              {0, time.Second, 0},
		"5/d":              {5, 24 * time.Hour, 5},
	} {
		var r config.Rate
		if err := r.UnmarshalText([]byte(text)); err != nil || r != want {
			t.Errorf("%s: %v, %v", text, r, err)
		}
		var again config.Rate
		if err := again.UnmarshalText([]byte(r.String())); err != nil || again != r {
			t.Errorf("%s is written as %s and read as %s (%v)", text, r, again, err)
		}
	}
	for _, text := range []string{"", "20", "/h", "20/", "20/0s", "-1/h", "20/h burst", "20/h burst -1", "20/h burst x", "2000000000/s", "20/fortnight"} {
		var r config.Rate
		if err := r.UnmarshalText([]byte(text)); vam.KindOf(err) != vam.Invalid || err == nil {
			t.Errorf("%q: %v, %v", text, r, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("domain = \"a.example\"\n"))
	f.Add([]byte("[[domains]]\nname = \"a.example\"\n[domains.tls]\ncert='x'\nkey='y'\n"))
	f.Add([]byte("domains = [{name = \"a.example\", tls = {cert = \"x\", key = \"y\"}}]\nlimits = {message = 1}\n"))
	f.Add([]byte("limits.peers.offers = \"1/h burst 2\"\n[limits.peers]\n"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		file := filepath.Join(t.TempDir(), config.FileName)
		if err := os.WriteFile(file, doc, 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := config.Load(config.Options{File: file})
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without a text")
			}
			return
		}
		if len(e.Domains) == 0 || e.DataDir == "" {
			t.Fatalf("an incomplete configuration was accepted: %+v", e.Config)
		}
	})
}
