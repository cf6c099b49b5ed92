package vam_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
)

// TestKinds: the set is closed, each has a name of its own, and an error that nobody
// classified never loses mail.
func TestKinds(t *testing.T) {
	temporary := map[vam.ErrorKind]bool{vam.Internal: true, vam.OverQuota: true, vam.Busy: true, vam.Unavailable: true}
	all := vam.ErrorKinds()
	names := map[string]bool{}
	for i, kind := range all {
		if int(kind) != i || names[kind.String()] || kind.String() == "" {
			t.Errorf("kind %d is called %q", i, kind)
		}
		names[kind.String()] = true
		if kind.Temporary() != temporary[kind] {
			t.Errorf("%s is temporary: %v", kind, kind.Temporary())
		}
	}
	for _, kind := range []vam.ErrorKind{
		vam.Internal, vam.Invalid, vam.Unauthenticated, vam.Denied, vam.NotFound, vam.Gone, vam.Conflict, vam.TooLarge, vam.OverQuota, vam.Busy, vam.Unavailable, vam.Corrupt, vam.NotVAM,
	} {
		if int(kind) >= len(all) {
			t.Errorf("the kind %d is not listed", kind)
		}
	}
	if len(all) != 13 {
		t.Errorf("there are %d kinds: this test, and each edge's table, want to know the new one", len(all))
	}
	// The names are in logs and in the JSON of the command line: they stay.
	for kind, name := range map[vam.ErrorKind]string{
		vam.Internal: "internal", vam.Invalid: "invalid", vam.Unauthenticated: "unauthenticated", vam.Denied: "denied", vam.NotFound: "not-found", vam.Gone: "gone", vam.Conflict: "conflict",
		vam.TooLarge: "too-large", vam.OverQuota: "over-quota", vam.Busy: "busy", vam.Unavailable: "unavailable", vam.Corrupt: "corrupt", vam.NotVAM: "not-vam", vam.NotVAM + 1: "internal",
	} {
		if kind.String() != name {
			t.Errorf("the kind %d is called %s, not %s", kind, kind, name)
		}
	}
	if odd := vam.ErrorKind(200); odd.String() != "internal" || odd.Temporary() {
		t.Errorf("a kind that is none is %s, temporary %v", odd, odd.Temporary())
	}
	if vam.ErrorKind(0) != vam.Internal {
		t.Error("the zero kind is not internal")
	}
}

func TestErrors(t *testing.T) {
	cause := fmt.Errorf("open /var/lib/vam: %w", io.ErrUnexpectedEOF)
	err := vam.Wrap(vam.Unavailable, cause, "the store of %s is away", "a.example").WithProblem("busy").WithRetry(time.Minute)
	if err.Kind != vam.Unavailable || err.Problem != "busy" || err.RetryAfter != time.Minute || err.Message != "the store of a.example is away" {
		t.Errorf("got %+v", err)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "/var/lib") || !strings.Contains(err.Error(), "is away") {
		t.Errorf("the operator is told %q", err)
	}
	if public := vam.Public(err); public != err.Message {
		t.Errorf("a stranger is told %q", public)
	}
	plain := vam.Errorf(vam.NotFound, "there is no %q", "x")
	if plain.Error() != `there is no "x"` || plain.Unwrap() != nil || plain.Problem != "" || plain.RetryAfter != 0 {
		t.Errorf("got %+v", plain)
	}
}

// TestKindOf: the outermost word counts, in whatever it is wrapped and joined.
func TestKindOf(t *testing.T) {
	inner := vam.Errorf(vam.NotFound, "inner")
	for _, tc := range []struct {
		err  error
		kind vam.ErrorKind
		said string
	}{
		{inner, vam.NotFound, "inner"},
		{fmt.Errorf("sending: %w", inner), vam.NotFound, "inner"},
		{errors.Join(io.EOF, inner), vam.NotFound, "inner"},
		{vam.Wrap(vam.Denied, inner, "outer"), vam.Denied, "outer"},
		{io.EOF, vam.Internal, ""},
		{fmt.Errorf("sending: %w", io.EOF), vam.Internal, ""},
		{vam.Wrap(vam.Internal, inner, "a path: /var"), vam.Internal, ""},
		{(*vam.Error)(&vam.Error{}), vam.Internal, ""},
	} {
		if got := vam.KindOf(tc.err); got != tc.kind {
			t.Errorf("%v is %s, not %s", tc.err, got, tc.kind)
		}
		switch said := vam.Public(tc.err); {
		case tc.said != "" && said != tc.said:
			t.Errorf("of %v a stranger is told %q", tc.err, said)
		case tc.said == "" && (said == "" || strings.Contains(said, "/var") || strings.Contains(said, "EOF")):
			t.Errorf("of an internal error a stranger is told %q", said)
		}
	}
}
