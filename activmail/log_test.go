package activmail_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// state is what can be seen of a validator.
type state struct {
	Size              int64
	Root              activmail.Hash
	Media             vam.Bytes
	Identity          activmail.Sum
	Seal              activmail.Record
	Sealed            bool
	Revoke, Expire    activmail.Record
	Revoked, Expiring bool
}

func stateOf(v *activmail.Validator) state {
	s := state{Size: v.Size(), Root: v.Tree().Root(), Media: v.MediaBytes(), Identity: v.MediaIdentity()}
	s.Seal, s.Sealed = v.Sealed()
	s.Revoke, s.Revoked = v.Revoked()
	s.Expire, s.Expiring = v.Expires()
	return s
}

// genLine makes lines that come into question for a log with so many octets of media:
// most are valid, not all of them where they stand.
func genLine(media vam.Bytes) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		blob := strings.Repeat(fmt.Sprintf("%02x", rapid.Byte().Draw(t, "blob")), 32)
		length := rapid.IntRange(1, 9).Draw(t, "length")
		switch rapid.SampledFrom([]string{"part", "part", "part", "timed", "timed", "init", "track", "poster", "text", "seal", "wrong seal", "expire", "revoke", "unknown", "critical", "broken"}).Draw(t, "kind") {
		case "part":
			return fmt.Sprintf(`{"k":"part","b":"%s","l":%d}`, blob, length)
		case "timed":
			return fmt.Sprintf(`{"k":"part","b":"%s","l":%d,"t":%d,"d":1}`, blob, length, rapid.IntRange(0, 5).Draw(t, "time"))
		case "init":
			return fmt.Sprintf(`{"k":"init","b":"%s","l":%d,"ct":"video/mp4"}`, blob, length)
		case "track":
			return fmt.Sprintf(`{"k":"part","b":"%s","l":%d,"tr":"t%d"}`, blob, length, rapid.IntRange(0, 20).Draw(t, "track"))
		case "poster":
			return fmt.Sprintf(`{"k":"poster","b":"%s","l":%d,"ct":"image/jpeg"}`, blob, length)
		case "text":
			return fmt.Sprintf(`{"k":"text","b":"%s","l":%d,"ct":"text/vtt","lang":"de"}`, blob, length)
		case "seal":
			return fmt.Sprintf(`{"k":"seal","bytes":%d,"sha256":"%x"}`, media, sha256.Sum256(nil))
		case "wrong seal":
			return fmt.Sprintf(`{"k":"seal","bytes":%d,"sha256":"%s"}`, media+1, blob)
		case "expire":
			return fmt.Sprintf(`{"k":"expire","at":"20%02d-01-01T00:00:00Z"}`, rapid.IntRange(10, 99).Draw(t, "year"))
		case "revoke":
			return `{"k":"revoke","at":"2026-11-23T08:00:00Z"}`
		case "unknown":
			return `{"k":"reaction"}`
		case "critical":
			return `{"k":"reaction","crit":1}`
		}
		return `{"k":"part"}`
	})
}

// TestValidator walks through logs and compares each step with the rules of section 4.3 as
// a reader would write them down: what comes after what, where the media stands, and that
// a refused line changes nothing.
func TestValidator(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := activmail.DefaultLimits()
		limits.Lines, limits.Tracks, limits.Message = 30, 4, 100
		v := activmail.NewValidator(limits)
		var tree activmail.Tree
		var media, total vam.Bytes
		var identity strings.Builder
		tracks := map[string]bool{} // whether it began with an init
		last := map[string]int{}
		sealed, revoked := false, false
		for range rapid.IntRange(1, 40).Draw(t, "lines") {
			line := genLine(media).Draw(t, "line")
			r, recordErr := activmail.ParseRecord([]byte(line), limits)
			_, begun := tracks[r.Track]
			seconds := int(r.Time.Seconds())
			isTrack := r.Kind == activmail.RecordInit || r.Kind == activmail.RecordPart
			allowed := recordErr == nil && !revoked && v.Size() < limits.Lines && total+r.Length <= limits.Message
			switch {
			case isTrack:
				allowed = allowed && !sealed && (begun || len(tracks) < limits.Tracks) && (!begun || r.Kind != activmail.RecordInit || tracks[r.Track]) && (!r.Timed || seconds >= last[r.Track])
			case r.Kind == activmail.RecordPoster:
				allowed = allowed && !sealed
			case r.Kind == activmail.RecordSeal:
				allowed = allowed && !sealed && r.Bytes == media && (media > 0 || r.SHA256 == sha256.Sum256(nil))
			}
			before := stateOf(v)
			entry, err := v.Append([]byte(line))
			if (err == nil) != allowed {
				t.Fatalf("line %d, %s: %v; allowed: %v", v.Size(), line, err, allowed)
			}
			if err != nil {
				if diff := cmp.Diff(before, stateOf(v)); diff != "" {
					t.Fatalf("the refused line %s changed something:\n%s", line, diff)
				}
				continue
			}
			want := activmail.Entry{Index: before.Size, Record: r, Leaf: activmail.LeafHash([]byte(line)), Offset: -1}
			total += r.Length
			if isTrack {
				if !begun {
					tracks[r.Track] = r.Kind == activmail.RecordInit
				}
				if r.Timed {
					last[r.Track] = seconds
				}
				if r.Track == "" {
					want.Offset = media
					media += r.Length
					fmt.Fprintf(&identity, "%s %d\n", r.Blob, r.Length)
				}
			}
			sealed, revoked = sealed || r.Kind == activmail.RecordSeal, revoked || r.Kind == activmail.RecordRevoke
			tree.Append(want.Leaf)
			if diff := cmp.Diff(want, entry); diff != "" {
				t.Fatal(diff)
			}
			got := stateOf(v)
			if got.Size != before.Size+1 || got.Root != tree.Root() || got.Media != media || got.Sealed != sealed || got.Revoked != revoked || got.Identity != sha256.Sum256([]byte(identity.String())) {
				t.Fatalf("after %s: %+v", line, got)
			}
			if r.Kind == activmail.RecordExpire && got.Expire != r {
				t.Fatalf("the last expire does not hold: %+v (AM-4.17)", got.Expire)
			}
		}
	})
}

// TestLimitsOfALog: lines, tracks and the sum of all blobs (AM-4.20, AM-10.2, AM-10.4,
// AM-10.11).
func TestLimitsOfALog(t *testing.T) {
	blob := strings.Repeat("00", 32)
	part := func(n int, track string) []byte {
		return fmt.Appendf(nil, `{"k":"part","b":"%s","l":%d%s}`, blob, n, track)
	}
	limits := activmail.DefaultLimits()
	limits.Lines, limits.Tracks, limits.Message = 4, 2, 10
	for _, tc := range []struct {
		name string
		ok   [][]byte
		bad  []byte
	}{
		{"lines", [][]byte{[]byte(`{"k":"x"}`), []byte(`{"k":"x"}`), []byte(`{"k":"x"}`), []byte(`{"k":"x"}`)}, []byte(`{"k":"x"}`)},
		{"tracks", [][]byte{part(1, ""), part(1, `,"tr":"a"`), part(1, "")}, part(1, `,"tr":"b"`)},
		{"extra tracks alone", [][]byte{part(1, `,"tr":"a"`), part(1, `,"tr":"b"`)}, part(1, "")},
		{"octets", [][]byte{part(6, ""), part(4, `,"tr":"a"`)}, part(1, "")},
		{"octets with texts", [][]byte{part(6, "")}, fmt.Appendf(nil, `{"k":"text","b":"%s","l":5,"ct":"text/vtt","lang":"de"}`, blob)},
	} {
		v := activmail.NewValidator(limits)
		for _, line := range tc.ok {
			if _, err := v.Append(line); err != nil {
				t.Errorf("%s: %s: %v", tc.name, line, err)
			}
		}
		_, err := v.Append(tc.bad)
		wantError(t, err, vam.TooLarge, "too-large")
	}
}

// TestMediaIdentityIgnoresTheRest: the same media in the same pieces has one identity,
// whatever stands between and around them (AM-4.24, AM-4.26).
func TestMediaIdentityIgnoresTheRest(t *testing.T) {
	a, b := activmail.NewMediaIdentity(), activmail.NewMediaIdentity()
	piece := func(n byte, length vam.Bytes, kind activmail.RecordKind, track string) activmail.Record {
		return activmail.Record{Kind: kind, Blob: activmail.Sum{n}, Length: length, Track: track}
	}
	a.Add(piece(1, 10, activmail.RecordInit, ""))
	a.Add(piece(2, 20, activmail.RecordPart, ""))
	b.Add(piece(9, 9, activmail.RecordPoster, ""))
	b.Add(piece(1, 10, activmail.RecordPart, ""))
	b.Add(piece(3, 30, activmail.RecordPart, "low"))
	if a.Sum() == b.Sum() {
		t.Error("half of the media has the identity of all")
	}
	b.Add(piece(2, 20, activmail.RecordPart, ""))
	b.Add(activmail.Record{Kind: activmail.RecordSeal, Bytes: 30})
	if a.Sum() != b.Sum() {
		t.Error("the same media has two identities")
	}
	if first, second := b.Sum(), b.Sum(); first != second {
		t.Error("asking changes the identity")
	}
	b.Add(piece(2, 21, activmail.RecordPart, ""))
	c := activmail.NewMediaIdentity()
	c.Add(piece(1, 10, activmail.RecordInit, ""))
	c.Add(piece(2, 21, activmail.RecordPart, ""))
	if a.Sum() == c.Sum() {
		t.Error("another length has the same identity")
	}
}

func exampleLines() [][]byte {
	var out [][]byte
	for i := range 5 {
		out = append(out, fmt.Appendf(nil, `{"k":"part","b":"%064x","l":%d}`, i, i+1))
	}
	return out
}

func logBody(lines [][]byte, checkpoint []byte) []byte {
	var b []byte
	for _, line := range lines {
		b = activmail.AppendLogLine(b, line)
	}
	return activmail.AppendLogEnd(b, checkpoint)
}

func signedOver(t testing.TB, lines [][]byte) []byte {
	t.Helper()
	var tree activmail.Tree
	for _, line := range lines {
		tree.Append(activmail.LeafHash(line))
	}
	cp, err := activmail.SignCheckpoint(tree.Checkpoint(), origin, mid, messageKey)
	if err != nil {
		t.Fatal(err)
	}
	return cp
}

// readLog takes everything out of a decoder.
func readLog(d *activmail.LogDecoder) (lines [][]byte, err error) {
	for {
		line, err := d.Next()
		if err != nil {
			return lines, err
		}
		lines = append(lines, slices.Clone(line))
	}
}

// TestLogBodyCutAnywhere: a body that ends at any octet before its last gives the whole
// lines that came, says that it was cut, and never a checkpoint (AM-7.7).
func TestLogBodyCutAnywhere(t *testing.T) {
	lines := exampleLines()
	cp := signedOver(t, lines)
	body := logBody(lines, cp)
	for cut := range len(body) {
		d := activmail.NewLogDecoder(iotest.OneByteReader(strings.NewReader(string(body[:cut]))), activmail.DefaultLimits())
		got, err := readLog(d)
		whole := 0
		for n := 0; whole < len(lines); whole++ {
			if n += len(lines[whole]) + 1; n > cut {
				break
			}
		}
		if err != io.ErrUnexpectedEOF || len(got) != whole || d.Checkpoint() != nil || d.Lines() != int64(whole) {
			t.Fatalf("cut at %d of %d: %d lines of %d, %v, checkpoint %q", cut, len(body), len(got), whole, err, d.Checkpoint())
		}
		if _, again := d.Next(); again != err {
			t.Fatalf("the second Next says %v", again)
		}
	}
	d := activmail.NewLogDecoder(iotest.HalfReader(strings.NewReader(string(body))), activmail.DefaultLimits())
	got, err := readLog(d)
	if diff := cmp.Diff(lines, got); diff != "" || err != io.EOF || string(d.Checkpoint()) != string(cp) {
		t.Errorf("the whole body: %v, %q\n%s", err, d.Checkpoint(), diff)
	}
}

// TestLogBodyReaderFails: the reader's own error comes through.
func TestLogBodyReaderFails(t *testing.T) {
	broken := errors.New("the line is dead")
	body := logBody(exampleLines(), signedOver(t, exampleLines()))
	for _, cut := range []int{0, 10, len(body) - 10} {
		r := io.MultiReader(strings.NewReader(string(body[:cut])), iotest.ErrReader(broken))
		if _, err := readLog(activmail.NewLogDecoder(r, activmail.DefaultLimits())); !errors.Is(err, broken) {
			t.Errorf("after %d octets: %v", cut, err)
		}
	}
}

// TestLogBodyLimits: a line without end, lines without end and a checkpoint without end
// are read no further than their limits (AM-10.1, AM-10.2, AM-10.12, AM-10.31).
func TestLogBodyLimits(t *testing.T) {
	limits := activmail.DefaultLimits()
	limits.Lines = 100
	for name, piece := range map[string]string{"a line": "{x", "lines": "{}\n", "a checkpoint": "\na"} {
		r := &endless{piece: piece}
		_, err := readLog(activmail.NewLogDecoder(r, limits))
		wantError(t, err, vam.TooLarge, "too-large")
		if r.read > 20_000 {
			t.Errorf("%s: %d octets were read", name, r.read)
		}
	}
	for n, ok := range map[int]bool{2048: true, 2049: false} {
		line := "{" + strings.Repeat("x", n-2) + "}"
		_, err := activmail.NewLogDecoder(strings.NewReader(line+"\n"), limits).Next()
		if ok != (err == nil) {
			t.Errorf("a line of %d octets: %v", n, err)
		}
	}
}

// endless repeats its last octet for ever.
type endless struct {
	piece string
	read  int
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.piece[len(e.piece)-1]
		if e.read < len(e.piece) {
			p[i] = e.piece[e.read]
		} else if strings.HasSuffix(e.piece, "\n") {
			p[i] = e.piece[e.read%len(e.piece)]
		}
		e.read++
	}
	return len(p), nil
}
