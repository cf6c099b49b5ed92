package vam_test

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
)

func TestParseBytes(t *testing.T) {
	for in, want := range map[string]vam.Bytes{
		"0": 0, "1": 1, "1024": 1024, "1b": 1, "1 B": 1, "1KiB": 1 << 10, "1kib": 1 << 10, "10 GiB": 10 << 30, "1.5GiB": 3 << 29, "0.5 KiB": 512, "500MB": 500e6, "2TB": 2e12, "1kB": 1000, "3TiB": 3 << 40,
		" 7 MiB ": 7 << 20, "007": 7, "0.0001KB": 0, "1.999B": 1, "9007199254740993": 9007199254740993, "4611686018427387903": 1<<62 - 1, "0.1GB": 1e8, "1.1GB": 1.1e9,
	} {
		if got, err := vam.ParseBytes(in); err != nil || got != want {
			t.Errorf("%q is %d octets, not %d (%v)", in, int64(got), int64(want), err)
		}
	}
	for _, bad := range []string{
		"", " ", "B", "GiB", "-1", "-1GiB", "+1", "1e3", "1E3GiB", "0x10", "0x1p4", "1_000", "1,5GiB", "1.5.2", ".5GiB", "1.", "1. GiB", "ten", "NaN", "Inf", "infinity", "1 GiB x", "1 G", "1g", "1 Gib/s", "½GiB", "１GiB",
		"4611686018427387904", "4194304TiB", "99999999999999999999", "1e400", strings.Repeat("9", 41), strings.Repeat("0", 100_000), "1/2", "1\x00", "1GiB\n2",
	} {
		if got, err := vam.ParseBytes(bad); err == nil {
			t.Errorf("%.40q passes for %d octets", bad, int64(got))
		} else {
			wantError(t, bad, err, vam.Invalid)
		}
	}
}

// TestBytesComeBack: not one octet is lost on the way through a text.
func TestBytesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := vam.Bytes(rapid.Int64Range(0, 1<<62-1).Draw(t, "bytes"))
		if rapid.Bool().Draw(t, "round") {
			want = want >> 40 << rapid.SampledFrom([]int{0, 10, 20, 30, 39}).Draw(t, "unit")
		}
		b, err := want.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var got vam.Bytes
		if err := got.UnmarshalText(b); err != nil || got != want {
			t.Fatalf("%d is written as %s and read as %d (%v)", int64(want), b, int64(got), err)
		}
	})
	got := 7 * vam.KiB
	wantError(t, "unmarshal", got.UnmarshalText([]byte("7 apples")), vam.Invalid)
	if got != 7*vam.KiB {
		t.Errorf("a refused text changed the size to %d", int64(got))
	}
}

func TestBytesShow(t *testing.T) {
	for b, want := range map[vam.Bytes]string{
		0: "0 B", 1: "1 B", 1023: "1023 B", vam.KiB: "1 KiB", 1536: "1.5 KiB", 700 * vam.KiB: "700 KiB", 10 * vam.GiB: "10 GiB", vam.TiB + vam.TiB/2: "1.5 TiB", 5000 * vam.TiB: "5000 TiB", -1: "-1 B", -1023: "-1023 B", -1024: "-1 KiB", -2 * vam.MiB: "-2 MiB",
		math.MaxInt64: "8388608 TiB", math.MinInt64: "-8388608 TiB",
	} {
		if got := b.String(); got != want {
			t.Errorf("%d octets show as %q, not %q", int64(b), got, want)
		}
	}
	for b, want := range map[vam.Bytes]string{0: "0", 1000: "1000", vam.KiB: "1KiB", 1536: "1536", 3 * vam.GiB: "3GiB", vam.GiB + vam.MiB: "1025MiB", vam.TiB: "1TiB"} {
		if got, err := b.MarshalText(); err != nil || string(got) != want {
			t.Errorf("%d octets are written as %s, not %s (%v)", int64(b), got, want, err)
		}
	}
}

func FuzzParseBytes(f *testing.F) {
	for _, s := range []string{"0", "1.5GiB", "10 GiB", "500MB", "9007199254740993", "1e3", "0x1p4", "-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := vam.ParseBytes(s)
		if err != nil {
			wantError(t, s, err, vam.Invalid)
			return
		}
		text, err := b.MarshalText()
		if err != nil || b < 0 {
			t.Fatalf("%q is %d octets (%v)", s, int64(b), err)
		}
		if back, err := vam.ParseBytes(string(text)); err != nil || back != b {
			t.Fatalf("%q is written as %s and read as %d (%v)", s, text, int64(back), err)
		}
	})
}
