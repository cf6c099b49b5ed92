package main

import (
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
)

func TestProgress(t *testing.T) {
	now := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	step := func(p *progress, d time.Duration, done vam.Bytes) { now = now.Add(d); p.Set(done) }
	clock := func() time.Time { return now }

	e, _, errs := scratch()
	e.errTTY = true
	p := e.progress("a.mp4", 100*vam.MiB, clock)
	for i := range 50 {
		step(p, 100*time.Millisecond, vam.Bytes(i)*vam.MiB)
	}
	lines := strings.Split(errs.String(), "\r\x1b[K")
	last := lines[len(lines)-1]
	for _, want := range []string{"a.mp4  [###########-------------]", " 49 %", "49 MiB of 100 MiB", "10 MiB/s", "5s left"} {
		if !strings.Contains(last, want) {
			t.Errorf("%q lacks %q", last, want)
		}
	}
	p.Done("100 MiB  accepted")
	p.Done("twice")
	p.Set(5)
	if !strings.HasSuffix(errs.String(), "\r\x1b[Ka.mp4  100 MiB  accepted\n") {
		t.Errorf("it ends with %q", errs.String()[errs.Len()-60:])
	}

	// In a file: a line from time to time, no movement of a cursor.
	e, _, errs = scratch()
	p = e.progress("x\x1b[2J", 0, clock)
	for i := range 100 {
		step(p, 100*time.Millisecond, vam.Bytes(i)*vam.KiB)
	}
	p.Done("")
	if got := strings.Count(errs.String(), "\n"); got != 2 || strings.Contains(errs.String(), "\x1b") || strings.Contains(errs.String(), "%") {
		t.Errorf("a file has %q", errs)
	}

	// A cut sets it back; the rate does not become negative.
	e, _, errs = scratch()
	e.errTTY = true
	p = e.progress("x", vam.MiB, clock)
	step(p, time.Second, 500*vam.KiB)
	step(p, time.Second, 100*vam.KiB)
	if got := errs.String(); strings.Contains(got, "-") && !strings.Contains(got, "---") || strings.Contains(got[strings.LastIndex(got, "\r"):], "/s") {
		t.Errorf("after a cut: %q", got)
	}

	for _, quiet := range []func(*env){func(e *env) { e.Quiet = true }, func(e *env) { e.JSON = true }} {
		e, _, errs = scratch()
		e.errTTY = true
		quiet(e)
		p = e.progress("x", vam.MiB, clock)
		step(p, time.Minute, vam.KiB)
		p.Done("done")
		if errs.Len() > 0 {
			t.Errorf("it says %q", errs)
		}
	}
}

func TestRemaining(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Millisecond: "1s", 17400 * time.Millisecond: "17s", 90 * time.Second: "2m", 59*time.Minute + 40*time.Second: "1h00m",
		3*time.Hour + 5*time.Minute: "3h05m", 200 * time.Hour: "days",
	} {
		if got := remaining(d); got != want {
			t.Errorf("%v is %q, not %q", d, got, want)
		}
	}
}
