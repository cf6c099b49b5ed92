package nativein_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/submission"
)

// TestBodiesOfADomain is AM-10.28 over all messages of a domain: what is under way with
// one message counts for the others, and is given back.
func TestBodiesOfADomain(t *testing.T) {
	o := newOrigin(t)
	k, first := o.sent(t, 2, true, submission.Draft{})
	_, second := o.sent(t, 1, true, submission.Draft{})
	var open []io.Closer
	for i := range 64 {
		pull := first
		if i%2 == 1 {
			pull = second
		}
		m, err := o.Media(t.Context(), pull)
		if err != nil {
			t.Fatalf("body %d: %v", i, err)
		}
		open = append(open, m.Content)
	}
	lines, err := o.Host.Messages.Lines(t.Context(), k, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func() (io.Closer, error){
		"media": func() (io.Closer, error) { m, err := o.Media(t.Context(), second); return m.Content, err },
		"entry": func() (io.Closer, error) { e, err := o.Entry(t.Context(), first, 1, 0); return e.Blob, err },
		"blob": func() (io.Closer, error) {
			r, err := activmail.ParseRecord(lines[0].Raw, o.Host.Messages.Limits())
			if err != nil {
				return nil, err
			}
			b, err := o.Blob(t.Context(), first, r.Blob)
			return b.Content, err
		},
	} {
		_, err := ask()
		wantBusy(t, err)
		last := open[len(open)-1]
		for range 2 { // closing twice gives one place back
			_ = last.Close()
		}
		c, err := ask()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		open[len(open)-1] = c
		_, err = ask()
		wantBusy(t, err)
	}
	if _, err := o.Head(t.Context(), second); err != nil {
		t.Error(err) // which is no body
	}
	for _, c := range open {
		_ = c.Close()
	}
}

// TestWaitsOfADomain is AM-10.21 over all messages of a domain.
func TestWaitsOfADomain(t *testing.T) { synctest.Test(t, testWaitsOfADomain) }

func testWaitsOfADomain(t *testing.T) {
	o := newOrigin(t)
	_, first := o.sent(t, 1, false, submission.Draft{})
	_, second := o.sent(t, 1, false, submission.Draft{})
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 200)
	for i := range 200 {
		pull := first
		if i%2 == 1 {
			pull = second
		}
		go func() {
			_, err := o.Log(ctx, pull, 2, time.Hour)
			over <- err
		}()
	}
	synctest.Wait()
	_, err := o.Log(t.Context(), first, 2, time.Hour)
	wantBusy(t, err)
	_, err = o.Entry(t.Context(), second, 2, time.Hour)
	wantBusy(t, err)
	if log, err := o.Log(t.Context(), first, 2, 0); err != nil || log.Size != 2 { // which does not wait
		t.Errorf("%+v, %v", log, err)
	}
	cancel()
	for range 200 {
		<-over
	}
	if log, err := o.Log(t.Context(), first, 2, time.Minute); err != nil || log.Size != 2 {
		t.Errorf("after the others have left: %+v, %v", log, err)
	}
}

func wantBusy(t *testing.T, err error) {
	t.Helper()
	var e *vam.Error
	if !errors.As(err, &e) || e.Kind != vam.Busy || e.Problem != "rate" || e.RetryAfter <= 0 {
		t.Errorf("got %v, want to be asked again in a while", err)
	}
}
