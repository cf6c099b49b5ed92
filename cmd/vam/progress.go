package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
)

// How often a bar is drawn on a terminal, and a line is written elsewhere.
const (
	drawEvery  = 100 * time.Millisecond
	lineEvery  = 5 * time.Second
	barCells   = 24
	rateWindow = 5 * time.Second
)

// progress shows how far a transfer is: a bar that is drawn anew on a terminal, a
// line from time to time in a file, nothing with --quiet or --json. It starts no
// goroutine and is safe for concurrent use.
type progress struct {
	w     io.Writer
	tty   bool
	label string
	now   func() time.Time

	mu       sync.Mutex
	total    vam.Bytes // 0 while nobody knows
	drawn    time.Time
	samples  []sample // the last rateWindow, oldest first
	finished bool
}

type sample struct {
	at   time.Time
	done vam.Bytes
}

// progress begins one; total 0 is a recording whose end is not known. A long label is cut,
// because a line that is wider than the terminal cannot be drawn over. now nil is time.Now.
func (e *env) progress(label string, total vam.Bytes, now func() time.Time) *progress {
	if now == nil {
		now = time.Now
	}
	p := &progress{w: e.err, tty: e.errTTY, label: safe(cut(label, 32)), total: total, now: now, drawn: now()}
	if e.Quiet || e.JSON {
		p.w = io.Discard
	}
	return p
}

// Set says how many octets are done. Values may go back after a cut.
func (p *progress) Set(done vam.Bytes) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.finished {
		return
	}
	now := p.now()
	if n := len(p.samples); n > 1 && now.Sub(p.samples[n-2].at) < drawEvery {
		p.samples = p.samples[:n-1] // a fast transfer would fill the window
	}
	p.samples = append(p.samples, sample{now, done})
	for len(p.samples) > 2 && now.Sub(p.samples[0].at) > rateWindow {
		p.samples = p.samples[1:]
	}
	every := lineEvery
	if p.tty {
		every = drawEvery
	}
	if now.Sub(p.drawn) < every {
		return
	}
	p.drawn = now
	p.draw(p.line(done))
}

// Done ends the display with a last line; an empty text keeps what is there.
func (p *progress) Done(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.finished {
		return
	}
	p.finished = true
	if text != "" {
		p.draw(p.label + "  " + safe(text))
	}
	if p.tty {
		fmt.Fprintln(p.w)
	}
}

func (p *progress) draw(line string) {
	if p.tty {
		fmt.Fprintf(p.w, "\r\x1b[K%s", line)
		return
	}
	fmt.Fprintln(p.w, line)
}

// line is "label  [####----]  45 %  1.2 GiB of 2.6 GiB  85 MiB/s  17s left".
func (p *progress) line(done vam.Bytes) string {
	rate := p.rate()
	parts := []string{p.label}
	if p.total > 0 {
		share := min(max(float64(done)/float64(p.total), 0), 1)
		if p.tty {
			full := int(share * barCells)
			parts = append(parts, "["+strings.Repeat("#", full)+strings.Repeat("-", barCells-full)+"]")
		}
		parts = append(parts, fmt.Sprintf("%3.0f %%", share*100), fmt.Sprintf("%s of %s", done, p.total))
	} else {
		parts = append(parts, done.String())
	}
	if rate > 0 {
		parts = append(parts, fmt.Sprintf("%s/s", vam.Bytes(rate)))
		if left := p.total - done; left > 0 {
			parts = append(parts, remaining(time.Duration(float64(left)/rate*float64(time.Second)))+" left")
		}
	}
	return strings.Join(parts, "  ")
}

// rate is octets a second over the last seconds, 0 while it is not known.
func (p *progress) rate() float64 {
	if len(p.samples) < 2 {
		return 0
	}
	first, last := p.samples[0], p.samples[len(p.samples)-1]
	span := last.at.Sub(first.at).Seconds()
	if span <= 0 || last.done <= first.done {
		return 0
	}
	return float64(last.done-first.done) / span
}

// remaining rounds to what a person wants to know.
func remaining(d time.Duration) string {
	switch {
	case d < time.Minute:
		return max(d.Round(time.Second), time.Second).String()
	case d < 100*time.Hour:
		d = d.Round(time.Minute)
		if d < time.Hour {
			return fmt.Sprintf("%dm", int(d.Minutes()))
		}
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return "days"
}
