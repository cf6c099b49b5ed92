package vam_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
)

var form = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestNewMessageID(t *testing.T) {
	seen := map[vam.MessageID]bool{}
	var ids []vam.MessageID
	start := time.Date(2026, 11, 23, 8, 59, 58, 123_456_789, time.UTC)
	for i := range 1000 {
		at := start.Add(time.Duration(i) * time.Millisecond)
		id := vam.NewMessageID(at)
		if got, err := vam.ParseMessageID(string(id)); err != nil || got != id || seen[id] {
			t.Fatalf("%s comes back as %s (%v)", id, got, err)
		}
		seen[id] = true
		ids = append(ids, id)
		if !id.Time().Equal(at.Truncate(time.Millisecond)) {
			t.Fatalf("%s is of %s, not of %s", id, id.Time(), at)
		}
		// The fields of RFC 9562 section 5.7: 48 bits of time, version 7, variant 10.
		if !form.MatchString(string(id)) || !strings.HasPrefix(strings.ReplaceAll(string(id), "-", ""), fmt.Sprintf("%012x", at.UnixMilli())) {
			t.Fatalf("%s is no UUID of version 7", id)
		}
	}
	if !slices.IsSorted(ids) {
		t.Error("later ids do not sort behind earlier ones")
	}
	same := map[vam.MessageID]bool{}
	for range 1000 {
		same[vam.NewMessageID(start)] = true
	}
	if len(same) != 1000 {
		t.Errorf("of one moment there are %d ids, not 1000", len(same))
	}
}

// TestParseMessageID: one spelling (AM-1.2).
func TestParseMessageID(t *testing.T) {
	const good = "019acf10-8a3e-7c41-9b0d-5f6c2e7a4b10"
	for _, ok := range []string{good, "00000000-0000-7000-8000-000000000000", "ffffffff-ffff-7fff-bfff-ffffffffffff", strings.Replace(good, "-9b", "-ab", 1)} {
		if id, err := vam.ParseMessageID(ok); err != nil || string(id) != ok {
			t.Errorf("%s is %s (%v)", ok, id, err)
		}
	}
	for _, bad := range []string{
		"", good[1:], good + "0", strings.ToUpper(good), strings.ReplaceAll(good, "-", ""), "{" + good + "}", "urn:uuid:" + good, " " + good[1:], good[:35] + "\n", good[:35] + "g", good[:35] + "\x00",
		"019acf10-8a3e-4c41-9b0d-5f6c2e7a4b10", "019acf10-8a3e-1c41-9b0d-5f6c2e7a4b10", "019acf10-8a3e-7c41-0b0d-5f6c2e7a4b10", "019acf10-8a3e-7c41-cb0d-5f6c2e7a4b10",
		"019acf108-a3e-7c41-9b0d-5f6c2e7a4b10", "019acf10_8a3e_7c41_9b0d_5f6c2e7a4b10", "019acf10-8a3e-7c41-9b0d5-f6c2e7a4b10", "00000000-0000-0000-0000-000000000000", "../../../../etc/passwd-7-----8------",
	} {
		if id, err := vam.ParseMessageID(bad); err == nil {
			t.Errorf("%q passes for %s", bad, id)
		} else {
			wantError(t, bad, err, vam.Invalid)
		}
	}
	for _, odd := range []vam.MessageID{"", "x", vam.MessageID(strings.Repeat("z", 36))} {
		if !odd.Time().IsZero() {
			t.Errorf("%q is of %s", odd, odd.Time())
		}
	}
}

func TestParseKind(t *testing.T) {
	for _, kind := range []vam.Kind{vam.Video, vam.Voice, vam.File} {
		if got, err := vam.ParseKind(string(kind)); err != nil || got != kind {
			t.Errorf("%s is %s (%v)", kind, got, err)
		}
	}
	for _, bad := range []string{"", "Video", "fax", "video ", strings.Repeat("x", 1000)} {
		_, err := vam.ParseKind(bad)
		wantError(t, bad, err, vam.Invalid)
	}
}

// TestRecipientStates: what is final, and what says that the message is there (section 8.2
// of the specification).
func TestRecipientStates(t *testing.T) {
	for state, is := range map[vam.RecipientState]struct{ final, arrived bool }{
		vam.Queued: {}, vam.Offering: {}, vam.Held: {}, vam.Accepted: {}, vam.Waiting: {},
		vam.Stored: {arrived: true}, vam.Displayed: {arrived: true}, vam.Played: {arrived: true},
		vam.Declined: {final: true}, vam.Lapsed: {final: true}, vam.Rejected: {final: true}, vam.Failed: {final: true}, vam.Withdrawn: {final: true},
		"": {}, "odd": {},
	} {
		if state.Final() != is.final || state.Arrived() != is.arrived {
			t.Errorf("%q is final %v, arrived %v", state, state.Final(), state.Arrived())
		}
	}
}

func FuzzParseMessageID(f *testing.F) {
	for _, s := range []string{"019acf10-8a3e-7c41-9b0d-5f6c2e7a4b10", "019ACF10-8A3E-7C41-9B0D-5F6C2E7A4B10", "", "{019acf10-8a3e-7c41-9b0d-5f6c2e7a4b1}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := vam.ParseMessageID(s)
		if err != nil {
			wantError(t, s, err, vam.Invalid)
			return
		}
		if !form.MatchString(s) || string(id) != s || id.Time().IsZero() {
			t.Fatalf("%q passes for %s (%v)", s, id, err)
		}
	})
}
