package activmail_test

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// genRecord makes records of the known kinds with the members that they use.
func genRecord() *rapid.Generator[activmail.Record] {
	return rapid.Custom(func(t *rapid.T) activmail.Record {
		r := activmail.Record{Kind: rapid.SampledFrom([]activmail.RecordKind{
			activmail.RecordInit, activmail.RecordPart, activmail.RecordPoster, activmail.RecordText,
			activmail.RecordSeal, activmail.RecordExpire, activmail.RecordRevoke,
		}).Draw(t, "kind")}
		maybe := func(name string) bool { return rapid.Bool().Draw(t, name) }
		if r.HasBlob() {
			r.Blob, r.Length = genSum().Draw(t, "blob"), 1+genBytes(1<<20-1).Draw(t, "length")
		}
		switch r.Kind {
		case activmail.RecordInit, activmail.RecordPoster, activmail.RecordText:
			r.ContentType = genMediaType().Draw(t, "type")
		case activmail.RecordPart, activmail.RecordSeal:
			if maybe("typed") {
				r.ContentType = genMediaType().Draw(t, "type")
			}
		}
		if r.Kind == activmail.RecordPart && maybe("timed") {
			r.Timed, r.Time, r.Duration = true, genSeconds().Draw(t, "time"), genSeconds().Draw(t, "duration")
		}
		switch r.Kind {
		case activmail.RecordPart:
			r.Independent = maybe("independent")
			fallthrough
		case activmail.RecordInit:
			if maybe("extra") {
				r.Track = genWord().Draw(t, "track")
			}
		case activmail.RecordText:
			r.Lang = rapid.SampledFrom([]string{"de", "en-GB", "zh-Hant-TW", "x-1"}).Draw(t, "lang")
		case activmail.RecordSeal:
			r.Bytes, r.SHA256, r.Duration = genBytes(int64(10*vam.GiB)).Draw(t, "bytes"), genSum().Draw(t, "sha256"), genSeconds().Draw(t, "duration")
			if maybe("named") {
				r.Name = rapid.SampledFrom([]string{"clip.mp4", "Ferien – Tag 1 🌊.mp4", `a "b" c`, "-rf", "con"}).Draw(t, "name")
			}
			if maybe("cut") {
				r.Why = "cut"
			}
		case activmail.RecordExpire, activmail.RecordRevoke:
			r.At = genTime().Draw(t, "at")
			if r.Kind == activmail.RecordRevoke && maybe("why") {
				r.Why = genWord().Draw(t, "why")
			}
		}
		r.Crit = maybe("crit")
		return r
	})
}

// TestRecordComesBack: what is written is read as the same (AM-4.4).
func TestRecordComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genRecord().Draw(t, "record")
		line, err := want.MarshalLine()
		if err != nil {
			t.Fatal(err)
		}
		got, err := activmail.ParseRecord(line, activmail.DefaultLimits())
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s:\n%s", line, diff)
		}
		again, err := got.MarshalLine()
		if err != nil || string(again) != string(line) {
			t.Fatalf("%s is written as %s the second time (%v)", line, again, err)
		}
	})
}

// TestUnknownMembersChangeNothing: a reader of this version sees the same record in a line
// of a later one (AM-1.12, AM-4.4), and another leaf (AM-4.3).
func TestUnknownMembersChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genRecord().Draw(t, "record")
		line, err := want.MarshalLine()
		if err != nil {
			t.Fatal(err)
		}
		value := rapid.SampledFrom([]string{`1`, `null`, `"x"`, `{"k":"seal","b":[1,2e9,{}]}`, `[]`, `-0.5E-7`, `true`}).Draw(t, "value")
		more := string(line[:len(line)-1]) + `,"example.org.colour":` + value + "}"
		got, err := activmail.ParseRecord([]byte(more), activmail.DefaultLimits())
		if err != nil {
			t.Fatalf("%s: %v", more, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		if activmail.LeafHash(line) == activmail.LeafHash([]byte(more)) {
			t.Fatal("two lines have one leaf hash")
		}
	})
}

func TestMarshalLineRefuses(t *testing.T) {
	sum := activmail.Sum(sha256.Sum256([]byte("x")))
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	part := activmail.Record{Kind: activmail.RecordPart, Blob: sum, Length: 9}
	with := func(r activmail.Record, change func(*activmail.Record)) activmail.Record {
		change(&r)
		return r
	}
	for name, r := range map[string]activmail.Record{
		"no kind":                    {},
		"unknown kind":               {Kind: "reaction"},
		"no length":                  with(part, func(r *activmail.Record) { r.Length = 0 }),
		"negative length":            with(part, func(r *activmail.Record) { r.Length = -1 }),
		"length over 2^53-1":         with(part, func(r *activmail.Record) { r.Length = 1 << 53 }),
		"time without Timed":         with(part, func(r *activmail.Record) { r.Time = time.Second }),
		"negative time":              with(part, func(r *activmail.Record) { r.Timed, r.Time = true, -1 }),
		"time too great":             with(part, func(r *activmail.Record) { r.Timed, r.Time = true, 10_000_000*time.Second }),
		"track in upper case":        with(part, func(r *activmail.Record) { r.Track = "Low" }),
		"type that is none":          with(part, func(r *activmail.Record) { r.ContentType = "video" }),
		"part with a file name":      with(part, func(r *activmail.Record) { r.Name = "x" }),
		"part with a language":       with(part, func(r *activmail.Record) { r.Lang = "de" }),
		"part with a reason":         with(part, func(r *activmail.Record) { r.Why = "cut" }),
		"part with the sum of all":   with(part, func(r *activmail.Record) { r.SHA256 = sum }),
		"init without type":          {Kind: activmail.RecordInit, Blob: sum, Length: 9},
		"poster in a track":          {Kind: activmail.RecordPoster, Blob: sum, Length: 9, ContentType: "image/jpeg", Track: "low"},
		"text without language":      {Kind: activmail.RecordText, Blob: sum, Length: 9, ContentType: "text/vtt"},
		"seal with a blob":           {Kind: activmail.RecordSeal, Blob: sum, SHA256: sum},
		"seal with a length":         {Kind: activmail.RecordSeal, Length: 9, SHA256: sum},
		"seal with a path":           {Kind: activmail.RecordSeal, SHA256: sum, Name: "a/b"},
		"seal with a broken name":    {Kind: activmail.RecordSeal, SHA256: sum, Name: "a\xffb"},
		"seal with negative bytes":   {Kind: activmail.RecordSeal, SHA256: sum, Bytes: -1},
		"expire without time":        {Kind: activmail.RecordExpire},
		"expire with a fraction":     {Kind: activmail.RecordExpire, At: at.Add(time.Millisecond)},
		"expire after year 9999":     {Kind: activmail.RecordExpire, At: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"revoke with an odd reason":  {Kind: activmail.RecordRevoke, At: at, Why: "Sender"},
		"revoke with a key frame":    {Kind: activmail.RecordRevoke, At: at, Independent: true},
		"revoke with a content type": {Kind: activmail.RecordRevoke, At: at, ContentType: "text/plain"},
	} {
		if line, err := r.MarshalLine(); err == nil {
			t.Errorf("%s was written as %s", name, line)
		} else {
			wantError(t, err, vam.Invalid, "malformed")
		}
	}
	// A time in another zone is the same moment.
	zone := time.FixedZone("CET", 3600)
	if line, err := (activmail.Record{Kind: activmail.RecordExpire, At: at.In(zone)}).MarshalLine(); err != nil || !strings.Contains(string(line), "09:00:00Z") {
		t.Errorf("a local time is written as %s (%v)", line, err)
	}
}

// TestRecordLimits: a limit is met by what is one octet longer, and by nothing shorter
// (AM-10.1, AM-10.3).
func TestRecordLimits(t *testing.T) {
	sum := strings.Repeat("0f", 32)
	small := activmail.Limits{Line: 200, Part: 10, Poster: 20, Text: 30, Message: 40}
	for _, tc := range []struct {
		name, line string
		ok         bool
	}{
		{"line of 200", `{"k":"x","y":"` + strings.Repeat("y", 200-16) + `"}`, true},
		{"line of 201", `{"k":"x","y":"` + strings.Repeat("y", 201-16) + `"}`, false},
		{"part of 10", `{"k":"part","b":"` + sum + `","l":10}`, true},
		{"part of 11", `{"k":"part","b":"` + sum + `","l":11}`, false},
		{"init of 11", `{"k":"init","b":"` + sum + `","l":11,"ct":"a/b"}`, false},
		{"poster of 20", `{"k":"poster","b":"` + sum + `","l":20,"ct":"a/b"}`, true},
		{"poster of 21", `{"k":"poster","b":"` + sum + `","l":21,"ct":"a/b"}`, false},
		{"text of 30", `{"k":"text","b":"` + sum + `","l":30,"ct":"a/b","lang":"de"}`, true},
		{"text of 31", `{"k":"text","b":"` + sum + `","l":31,"ct":"a/b","lang":"de"}`, false},
		{"seal of 40", `{"k":"seal","bytes":40,"sha256":"` + sum + `"}`, true},
		{"seal of 41", `{"k":"seal","bytes":41,"sha256":"` + sum + `"}`, false},
	} {
		_, err := activmail.ParseRecord([]byte(tc.line), small)
		if tc.ok && err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if !tc.ok {
			wantError(t, err, vam.TooLarge, "too-large")
		}
	}
}

// TestCriticalKind: an unknown kind is skipped unless it says that it must be understood
// (AM-4.6).
func TestCriticalKind(t *testing.T) {
	for line, ok := range map[string]bool{
		`{"k":"reaction"}`: true, `{"k":"reaction","crit":0}`: true, `{"k":"reaction","crit":1}`: false,
		`{"k":"expire","crit":1,"at":"2026-11-23T09:00:00Z"}`: true,
	} {
		r, err := activmail.ParseRecord([]byte(line), activmail.DefaultLimits())
		if ok && err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if !ok {
			wantError(t, err, vam.Invalid, "version")
		}
		if ok && r.Kind == "reaction" && (r.Kind.Known() || r.HasBlob() || r.IsMedia()) {
			t.Errorf("%s is taken for a known kind: %+v", line, r)
		}
	}
}

func TestRecordIsMedia(t *testing.T) {
	for _, tc := range []struct {
		kind  activmail.RecordKind
		track string
		media bool
	}{
		{activmail.RecordInit, "", true},
		{activmail.RecordPart, "", true},
		{activmail.RecordPart, "low", false},
		{activmail.RecordInit, "low", false},
		{activmail.RecordPoster, "", false},
		{activmail.RecordText, "", false},
		{activmail.RecordSeal, "", false},
	} {
		if got := (activmail.Record{Kind: tc.kind, Track: tc.track}).IsMedia(); got != tc.media {
			t.Errorf("%s of track %q is media: %v (AM-4.8, AM-4.26)", tc.kind, tc.track, got)
		}
	}
}

func TestSum(t *testing.T) {
	sum := activmail.Sum(sha256.Sum256([]byte("x")))
	text := sum.String()
	if text != hex.EncodeToString(sum[:]) || sum.IsZero() || !(activmail.Sum{}).IsZero() {
		t.Errorf("the sum is written as %s", text)
	}
	b, err := sum.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var back activmail.Sum
	if err := back.UnmarshalText(b); err != nil || back != sum {
		t.Errorf("%s comes back as %s (%v)", sum, back, err)
	}
	for _, bad := range []string{"", text[:62], text + "00", strings.ToUpper(text), " " + text[1:], text[:63] + "g", text[:63] + "-", "0x" + text[2:]} {
		before := back
		wantError(t, back.UnmarshalText([]byte(bad)), vam.Invalid, "malformed")
		if back != before {
			t.Errorf("%q changed the sum", bad)
		}
	}
}

// TestUnboundedLimitsHold: limits as great as an integer do not overflow.
func TestUnboundedLimitsHold(t *testing.T) {
	endless := activmail.Limits{Line: math.MaxInt64, Part: math.MaxInt64, Message: math.MaxInt64, Lines: math.MaxInt64, Tracks: math.MaxInt}
	v := activmail.NewValidator(endless)
	line := `{"k":"part","b":"` + strings.Repeat("0", 64) + `","l":9007199254740991}`
	for range 1024 {
		if _, err := v.Append([]byte(line)); err != nil {
			wantError(t, err, vam.TooLarge, "too-large")
			return
		}
	}
	if v.MediaBytes() != 1024*maxCount {
		t.Errorf("the media has %d octets", int64(v.MediaBytes()))
	}
}
