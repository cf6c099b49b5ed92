package harness

import (
	"context"
	"errors"
	"testing"
	"time"
)

// Patience bounds every wait of a test. It is far beyond what any of them takes: it
// turns a hang into a failure that says what was waited for, and decides nothing else.
const Patience = 3 * time.Minute

// ErrPending is what a look returns while it is too early.
var ErrPending = errors.New("not yet")

// Await looks again and again until look returns no error, and fails the test at any
// error other than ErrPending, or when Patience is over.
func Await[T any](t testing.TB, what string, look func(context.Context) (T, error)) T {
	t.Helper()
	v, err := AwaitWithin(t, Patience, look)
	if errors.Is(err, ErrPending) {
		t.Fatalf("%s: it did not come in %v: %v", what, Patience, err)
	}
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return v
}

// AwaitWithin is Await with a bound of its own, for a test that goes on when nothing
// came; the last error is returned.
func AwaitWithin[T any](t testing.TB, bound time.Duration, look func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		v, err := look(ctx)
		if err == nil || !errors.Is(err, ErrPending) {
			return v, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return v, err
		}
	}
}
