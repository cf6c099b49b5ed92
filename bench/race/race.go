// Package race measures contestants against each other in one run: rounds are
// interleaved, the middle value counts, and what is reported is a ratio.
package race

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// Sample is what one contestant measured in one round. Value is in the Unit of its
// Race; Extra holds further figures by name, with the unit in the name.
type Sample struct {
	Value float64            `json:"value"`
	Extra map[string]float64 `json:"extra,omitempty"`
}

// Contestant is one row of a table.
type Contestant struct {
	// Name is short; Note says what exactly ran: version, protocol, what it does not
	// do that others do.
	Name, Note string
	// Congestion is the congestion control of the sending side, "" where nothing is
	// sent over TCP or QUIC.
	Congestion string
	// Rounds bounds how often this one runs; 0 is as often as the others.
	Rounds int
	// Run measures once. It owns whatever it starts and leaves nothing behind.
	Run func(ctx context.Context) (Sample, error)
}

// Goal wants Name's value to be at least (or at most) Ratio times that of Of, or
// Ratio itself, in the Unit of the race, where Of is empty.
type Goal struct {
	Name   string  `json:"name"`
	Of     string  `json:"of"`
	Ratio  float64 `json:"ratio"`
	AtMost bool    `json:"at_most,omitempty"`
}

// Race is one table.
type Race struct {
	Name, Title string
	// Setting is what holds for all: sizes, path, what is timed.
	Setting string
	// Unit of the values, such as "MB/s".
	Unit string
	// Smaller says that a smaller value is better.
	Smaller bool
	// Base names the contestant that the ratio column refers to; "" is the first.
	Base        string
	Contestants []Contestant
	Goals       []Goal
	// Before runs before each measurement, outside of it; nil does nothing.
	Before func()
}

// Row is the outcome of one contestant. A contestant that failed has Error and no
// values.
type Row struct {
	Name       string             `json:"name"`
	Note       string             `json:"note,omitempty"`
	Congestion string             `json:"congestion,omitempty"`
	Median     float64            `json:"median"`
	Ratio      float64            `json:"ratio"` // to Base; 0 where that has no value
	Samples    []float64          `json:"samples"`
	Extra      map[string]float64 `json:"extra,omitempty"` // medians
	Error      string             `json:"error,omitempty"`
}

// Outcome is a Goal and what came of it. Measured is 0 and Met false where a side
// of it has no value.
type Outcome struct {
	Goal
	Measured float64 `json:"measured"`
	Met      bool    `json:"met"`
}

// Result is a finished Race.
type Result struct {
	Name    string    `json:"name"`
	Title   string    `json:"title"`
	When    time.Time `json:"when"`
	Load    string    `json:"load"` // averages of the machine before the first round
	Setting string    `json:"setting,omitempty"`
	Unit    string    `json:"unit"`
	Smaller bool      `json:"smaller_is_better,omitempty"`
	Base    string    `json:"base"`
	Rounds  int       `json:"rounds"`
	Rows    []Row     `json:"rows"`
	Goals   []Outcome `json:"goals,omitempty"`
}

// Run runs the rounds, each contestant once a round, beginning with another one
// every time. A contestant that fails is out, with its error in its row; only a
// cancelled context ends the race. Progress goes to log.
func (r Race) Run(ctx context.Context, rounds int, log io.Writer) (Result, error) {
	when, load := time.Now(), load()
	samples := make([][]Sample, len(r.Contestants))
	errs := make([]error, len(r.Contestants))
	for round := range rounds {
		for i := range r.Contestants {
			at := (i + round) % len(r.Contestants)
			c := r.Contestants[at]
			if errs[at] != nil || c.Rounds > 0 && len(samples[at]) >= c.Rounds {
				continue
			}
			if r.Before != nil {
				r.Before()
			}
			start := time.Now()
			s, err := c.Run(ctx)
			if ctx.Err() != nil {
				return Result{}, ctx.Err()
			}
			if err != nil {
				errs[at] = err
				_, _ = fmt.Fprintf(log, "%s: %s: %v\n", r.Name, c.Name, err)
				continue
			}
			samples[at] = append(samples[at], s)
			_, _ = fmt.Fprintf(log, "%s %d/%d: %s: %s %s (%.1fs)\n", r.Name, round+1, rounds, c.Name, number(s.Value), r.Unit, time.Since(start).Seconds())
		}
	}
	res := r.result(rounds, samples, errs)
	res.When, res.Load = when.UTC().Truncate(time.Second), load
	return res, nil
}

func (r Race) result(rounds int, samples [][]Sample, errs []error) Result {
	res := Result{Name: r.Name, Title: r.Title, Setting: r.Setting, Unit: r.Unit, Smaller: r.Smaller, Base: r.Base, Rounds: rounds}
	if res.Base == "" && len(r.Contestants) > 0 {
		res.Base = r.Contestants[0].Name
	}
	values := make(map[string]float64)
	for i, c := range r.Contestants {
		row := Row{Name: c.Name, Note: c.Note, Congestion: c.Congestion, Samples: []float64{}}
		if errs[i] != nil {
			row.Error = errs[i].Error()
		} else {
			for _, s := range samples[i] {
				row.Samples = append(row.Samples, s.Value)
			}
			row.Median, row.Extra = Median(row.Samples), extras(samples[i])
			values[c.Name] = row.Median
		}
		res.Rows = append(res.Rows, row)
	}
	for i := range res.Rows {
		if base := values[res.Base]; base != 0 {
			res.Rows[i].Ratio = res.Rows[i].Median / base
		}
	}
	for _, g := range r.Goals {
		res.Goals = append(res.Goals, g.outcome(values))
	}
	return res
}

func (g Goal) outcome(values map[string]float64) Outcome {
	o := Outcome{Goal: g}
	mine, ok := values[g.Name]
	theirs := 1.0
	if g.Of != "" {
		theirs = values[g.Of]
	}
	if !ok || theirs == 0 {
		return o
	}
	o.Measured = mine / theirs
	if o.Met = o.Measured >= g.Ratio; g.AtMost {
		o.Met = o.Measured <= g.Ratio
	}
	return o
}

// extras takes the median of each further figure.
func extras(samples []Sample) map[string]float64 {
	all := make(map[string][]float64)
	for _, s := range samples {
		for k, v := range s.Extra {
			all[k] = append(all[k], v)
		}
	}
	out := make(map[string]float64)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		out[k] = Median(all[k])
	}
	return out
}

// Median is the middle value, the mean of the two middle ones for an even number,
// 0 for none.
func Median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s) / 2; len(s)%2 == 0 {
		return (s[n-1] + s[n]) / 2
	}
	return s[len(s)/2]
}
