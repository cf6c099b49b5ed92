package race_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam/bench/race"
)

// values returns a contestant that measures the given values in turn and says when
// it ran.
func values(name string, ran *[]string, vs ...float64) race.Contestant {
	i := 0
	return race.Contestant{Name: name, Run: func(context.Context) (race.Sample, error) {
		*ran = append(*ran, name)
		i++
		return race.Sample{Value: vs[i-1], Extra: map[string]float64{"cpu_seconds": float64(i)}}, nil
	}}
}

func TestRoundsAreInterleaved(t *testing.T) {
	var ran []string
	few := values("few", &ran, 7)
	few.Rounds = 1
	r := race.Race{Name: "x", Contestants: []race.Contestant{values("a", &ran, 1, 2, 30), values("b", &ran, 10, 5, 6), few}}
	res, err := r.Run(t.Context(), 3, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "few", "b", "a", "a", "b"}, ran); diff != "" {
		t.Fatal(diff)
	}
	if a, b := res.Rows[0], res.Rows[1]; a.Median != 2 || b.Median != 6 || a.Ratio != 1 || b.Ratio != 3 || a.Extra["cpu_seconds"] != 2 {
		t.Fatalf("%+v", res.Rows)
	}
}

func TestGoals(t *testing.T) {
	var ran []string
	for _, tc := range []struct {
		goal race.Goal
		met  bool
	}{
		{race.Goal{Name: "a", Of: "b", Ratio: 0.5}, true},
		{race.Goal{Name: "a", Of: "b", Ratio: 0.51}, false},
		{race.Goal{Name: "a", Of: "b", Ratio: 0.5, AtMost: true}, true},
		{race.Goal{Name: "a", Of: "b", Ratio: 0.49, AtMost: true}, false},
		{race.Goal{Name: "a", Ratio: 5}, true},
		{race.Goal{Name: "a", Ratio: 4.9, AtMost: true}, false},
		{race.Goal{Name: "a", Of: "broken", Ratio: 0}, false},
		{race.Goal{Name: "absent", Of: "b", Ratio: 9, AtMost: true}, false},
	} {
		broken := race.Contestant{Name: "broken", Run: func(context.Context) (race.Sample, error) { return race.Sample{}, errors.New("no such program") }}
		r := race.Race{Contestants: []race.Contestant{values("a", &ran, 5), values("b", &ran, 10), broken}, Goals: []race.Goal{tc.goal}}
		res, err := r.Run(t.Context(), 1, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if g := res.Goals[0]; g.Met != tc.met {
			t.Errorf("%v", g)
		}
		if res.Rows[2].Error != "no such program" {
			t.Errorf("%+v", res.Rows[2])
		}
	}
}

func TestCancelledRaceHasNoResult(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := race.Race{Contestants: []race.Contestant{{Name: "a", Run: func(context.Context) (race.Sample, error) {
		cancel()
		return race.Sample{}, ctx.Err()
	}}}}
	if _, err := r.Run(ctx, 2, io.Discard); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestMedian(t *testing.T) {
	for _, tc := range []struct {
		in   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{3, 1}, 2}, {[]float64{9, 1, 5}, 5}} {
		if got := race.Median(tc.in); got != tc.want {
			t.Errorf("Median(%v) = %v, want %v", tc.in, got, tc.want)
		}
	}
}

func TestPrintAndSave(t *testing.T) {
	res := race.Result{
		Name: "transfer", Title: "Transfer", Unit: "MB/s", Rounds: 2,
		Rows: []race.Row{
			{Name: "bare TLS", Median: 997.6, Ratio: 1, Samples: []float64{990, 1005.2}, Congestion: "bbr", Note: "no fsync", Extra: map[string]float64{"cpu_s": 1.25}},
			{Name: "nginx", Error: "not installed"},
		},
		Goals: []race.Outcome{
			{Goal: race.Goal{Name: "vam", Of: "bare TLS", Ratio: 0.8}},
			{Goal: race.Goal{Name: "vam", Of: "bare TLS", Ratio: 1.01, AtMost: true}, Measured: 1.37},
		},
	}
	var out bytes.Buffer
	if err := res.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Transfer (MB/s, more is better; median of up to 2)", "998", "990–1005", "bbr", "cpu_s 1.250; no fsync", "not measured: not installed", "≥ 0.8 × bare TLS: not measured", "≤ 1.01 × bare TLS: MISSED by 36 %, 1.370"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}

	rep := race.Report{When: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), Machine: race.Here(), Results: []race.Result{res}}
	dir := t.TempDir()
	if _, err := rep.Save(dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, race.LatestJSON))
	if err != nil {
		t.Fatal(err)
	}
	var back race.Report
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rep, back); diff != "" {
		t.Fatal(diff)
	}
	text, err := os.ReadFile(filepath.Join(dir, race.LatestText))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| Transfer | vam ≥ 0.8 × bare TLS | not measured |",
		"| Transfer | vam ≤ 1.01 × bare TLS | **MISSED by 36 %, 1.370** |",
		"| bare TLS | 998 | 1.00 | 990–1005 | bbr | cpu_s 1.250; no fsync |",
		"| nginx | – | – | – |  | not measured: not installed |",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if !strings.Contains(rep.Machine.String(), "Linux") {
		t.Error(rep.Machine.String())
	}
}

// A run of some figures leaves the others as they are.
func TestSaveKeepsOtherFigures(t *testing.T) {
	dir := t.TempDir()
	for _, results := range [][]race.Result{
		{{Name: "a", Unit: "old"}, {Name: "b"}},
		{{Name: "c"}, {Name: "a", Unit: "new"}},
	} {
		if _, err := (race.Report{Results: results}).Save(dir); err != nil {
			t.Fatal(err)
		}
	}
	got, err := race.Report{}.Save(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]race.Result{{Name: "a", Unit: "new"}, {Name: "b"}, {Name: "c"}}, got.Results); diff != "" {
		t.Error(diff)
	}
}
