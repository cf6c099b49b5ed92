package isobmff_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/isobmff"
	box "github.com/videoactivmail/vam/internal/isobmff/isobmfftest"
	"github.com/videoactivmail/vam/internal/media"
)

// replace changes the content of the first box of a kind, behind its head of 8 octets.
func replace(raw []byte, kind string, at int, with []byte) []byte {
	out := bytes.Clone(raw)
	copy(out[bytes.Index(out, []byte(kind))+4+at:], with)
	return out
}

// grow puts octets to the end of moov.
func grow(f box.File, extra ...[]byte) []byte {
	f.Extra = slices.Concat(extra...)
	return f.Bytes()
}

func TestRefusals(t *testing.T) {
	sound := film()
	good := sound.Bytes()
	zeros := func(n int) []byte { return make([]byte, n) }
	deep := []byte{}
	for range 10_000 {
		deep = box.Box("moov", deep)
	}
	external := film()
	external.Tracks[0].External = true
	twins := replace(good, "trak", 8+20-8+4, nil)
	copy(twins[bytes.LastIndex(twins, []byte("tkhd"))+4+12:], box.U32(1))
	ftyp := box.Box("ftyp", []byte("isom"), box.U32(0))
	tests := map[string]struct {
		raw    []byte
		kind   vam.ErrorKind
		reason media.Reason
		says   string
	}{
		"empty":                  {nil, vam.NotFound, "", "not an MP4"},
		"text":                   {[]byte("#EXTM3U\n/etc/passwd\n"), vam.NotFound, "", "not an MP4"},
		"matroska":               {[]byte("\x1a\x45\xdf\xa3\x01\x00\x00\x00\x00"), vam.NotFound, "", "not an MP4"},
		"no index":               {ftyp, vam.Invalid, media.Broken, "moov"},
		"a free box of 3 octets": {slices.Concat(ftyp, box.U32(3), []byte("free")), vam.Invalid, media.Broken, "free at octet 16"},
		"a wide box of 3 octets": {slices.Concat(ftyp, box.Long("free", 3)), vam.Invalid, media.Broken, "free at octet 16"},
		"a box of 2^63":          {slices.Concat(ftyp, box.Long("free", 1<<63+5), good), vam.Invalid, media.Broken, "moov"},
		"index of 2^63":          {slices.Concat(ftyp, box.Long("moov", 1<<63+5), good), vam.Invalid, media.Broken, "beyond the end"},
		"cut in the index":       {good[:300], vam.Invalid, media.Broken, "moov at octet"},
		"10,000 deep":            {slices.Concat(ftyp, deep), 0, "", ""},
		"stsz of 2^32-1":         {replace(good, "stsz", 8, box.U32(math.MaxUint32)), vam.Invalid, media.Broken, "stsz"},
		"stco of 2^32-1":         {replace(good, "stco", 4, box.U32(math.MaxUint32)), vam.Invalid, media.Broken, "stco"},
		"stts of 2^32-1":         {replace(good, "stts", 4, box.U32(math.MaxUint32)), vam.Invalid, media.Broken, "stts"},
		"stsc of 2^32-1":         {replace(good, "stsc", 4, box.U32(math.MaxUint32)), vam.Invalid, media.Broken, "stsc"},
		"stss of 2^32-1":         {replace(good, "stss", 4, box.U32(math.MaxUint32)), vam.Invalid, media.Broken, "stss"},
		"chunks without samples": {replace(good, "stsc", 12, box.U32(0)), vam.Invalid, media.Broken, "stsc"},
		"chunks out of order":    {replace(good, "stsc", 8, box.U32(9)), vam.Invalid, media.Broken, "stsc"},
		"no units":               {replace(good, "mdhd", 12, box.U32(0)), vam.Invalid, media.Broken, "units"},
		"two tracks of a number": {twins, vam.Invalid, media.Broken, "number 1"},
		"media elsewhere":        {external.Bytes(), vam.Invalid, media.Unsupported, "another file"},
		"a child too long":       {replace(good, "mvhd", -8, box.U32(1<<20)), vam.Invalid, media.Broken, "mvhd"},
		"40 tracks":              {(&box.File{Tracks: slices.Repeat(sound.Tracks, 20)}).Bytes(), vam.TooLarge, media.TooLarge, "32 tracks"},
		"a track of nothing":     {grow(sound, box.Box("trak"), box.Box("trak")), vam.Invalid, media.Broken, "number 0"},
		"a million tiny boxes":   {slices.Concat(ftyp, bytes.Repeat(box.Box("free"), 1_000_000)), vam.TooLarge, media.TooLarge, "65536 boxes"},
		"a million within":       {grow(sound, bytes.Repeat(box.Box("free"), 1_000_000)), vam.TooLarge, media.TooLarge, "65536 boxes"},
		"a huge description":     {replace(good, "stsd", 8, box.U32(1<<30)), vam.Invalid, media.Broken, "avc1"},
		"zeros":                  {slices.Concat(ftyp, zeros(4096)), vam.Invalid, media.Broken, "moov"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := isobmff.Read(bytes.NewReader(tt.raw), int64(len(tt.raw)), isobmff.Limits{})
			if tt.says == "" {
				if err != nil || len(m.Tracks) != 0 {
					t.Fatalf("%v, %v", m, err)
				}
				return
			}
			if err == nil {
				t.Fatalf("was read as %+v", m)
			}
			if vam.KindOf(err) != tt.kind || media.ReasonOf(err) != tt.reason || !strings.Contains(vam.Public(err), tt.says) {
				t.Errorf("%s, %q: %q; want %s, %q: %q", vam.KindOf(err), media.ReasonOf(err), vam.Public(err), tt.kind, tt.reason, tt.says)
			}
		})
	}
}

func TestLimitsAreNamed(t *testing.T) {
	fragments := film()
	fragments.Fragment = 1
	progressive := film()
	edited, described := film(), film()
	edited.Tracks[0].Edits = make([]box.Edit, 1<<14+1)
	wordy := box.Picture("avc1", 64, 48, box.Box("free", make([]byte, 1<<20-200)))
	described.Tracks[0].Entry = bytes.Repeat(wordy, 9)
	tests := map[string]struct {
		raw []byte
		lim isobmff.Limits
	}{
		"20 boxes":                              {progressive.Bytes(), isobmff.Limits{Boxes: 20}},
		"1 tracks":                              {progressive.Bytes(), isobmff.Limits{Tracks: 1}},
		"50 entries":                            {progressive.Bytes(), isobmff.Limits{Entries: 50}},
		"16384 entries in the edit list":        {edited.Bytes(), isobmff.Limits{}},
		"8388608 octets of sample descriptions": {described.Bytes(), isobmff.Limits{}},
		"40 octets in the box":                  {progressive.Bytes(), isobmff.Limits{Description: 40}},
		"3 fragments":                           {fragments.Bytes(), isobmff.Limits{Fragments: 3}},
		"5 samples":                             {fragments.Bytes(), isobmff.Limits{Samples: 5}},
	}
	for want, tt := range tests {
		t.Run(want, func(t *testing.T) {
			_, err := isobmff.Read(bytes.NewReader(tt.raw), int64(len(tt.raw)), tt.lim)
			if err == nil || vam.KindOf(err) != vam.TooLarge || !strings.Contains(vam.Public(err), "more than "+want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// Tables that announce samples without having octets for them cost no memory and no time.
func TestCountsWithoutOctets(t *testing.T) {
	good := func() []byte { f := film(); return f.Bytes() }()
	fragments := film()
	fragments.Fragment = 60
	run := fragments.Bytes()
	i := bytes.Index(run, []byte("trun"))
	copy(run[i+4:], box.U32(1, math.MaxUint32)) // nothing of each sample's own
	tests := map[string][]byte{
		"all of the size 0":  replace(replace(good, "stsz", 4, box.U32(0)), "stsz", 8, box.U32(0)),
		"2^32 of one octet":  replace(good, "stsz", 4, box.U32(1, math.MaxUint32)),
		"2^32 of 2^32":       replace(good, "stsz", 4, box.U32(math.MaxUint32, math.MaxUint32)),
		"one chunk for all":  replace(replace(good, "stsz", 4, box.U32(1, math.MaxUint32)), "stsc", 12, box.U32(math.MaxUint32)),
		"a run of 2^32":      run,
		"durations of 2^32":  replace(good, "stts", 8, box.U32(math.MaxUint32, math.MaxUint32)),
		"2^32 of a duration": replace(good, "stts", 8, box.U32(math.MaxUint32)),
	}
	for name, raw := range tests {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			m, err := isobmff.Read(bytes.NewReader(raw), int64(len(raw)), isobmff.Limits{})
			if err == nil {
				m.Info()
			}
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 2<<20 {
				t.Errorf("%d octets for a file of %d", used, len(raw))
			}
		})
	}
}

// What was cut off, at any place, is an error or the samples that are there.
func TestTruncated(t *testing.T) {
	for _, f := range []box.File{film(), func() box.File { f := film(); f.Fragment = 10; return f }(), func() box.File { f := film(); f.IndexLast = true; return f }()} {
		whole := f.Bytes()
		all := samples(read(t, whole).Tracks[0])
		for part := range 100 {
			raw := whole[:len(whole)*part/100]
			m, err := isobmff.Read(bytes.NewReader(raw), int64(len(raw)), isobmff.Limits{})
			if err != nil {
				if k := vam.KindOf(err); k != vam.Invalid && k != vam.NotFound {
					t.Errorf("%d %%: %v", part, err)
				}
				continue
			}
			got := samples(m.Tracks[0])
			for i, s := range got {
				s.Duration = all[i].Duration
				if s != all[i] || s.Offset+int64(s.Size) > int64(len(raw)) {
					t.Errorf("%d %%: sample %d is %+v", part, i, s)
				}
			}
			if len(got) < len(all) && !m.Truncated {
				// What ends between two fragments does not know of more.
				if f.Fragment == 0 {
					t.Errorf("%d %%: %d of %d samples, and nothing says so", part, len(got), len(all))
				}
			}
		}
	}
}

func TestMediaThatSaysItIsTooLong(t *testing.T) {
	f := film()
	raw := f.Bytes()
	copy(raw[bytes.Index(raw, []byte("mdat"))+4:], box.U64(1<<50))
	if n := read(t, raw).Tracks[0].Len(); n != 60 {
		t.Errorf("%d samples", n)
	}
}

func TestStillPicture(t *testing.T) {
	raw := slices.Concat(box.Box("ftyp", []byte("heic"), box.U32(0), []byte("mif1heic")), box.Full("meta", 0, 0), box.Box("mdat", make([]byte, 99)))
	i := read(t, raw).Info()
	if i.Container != "heif" || i.Kind() != vam.File || len(i.Tracks) != 0 {
		t.Errorf("%+v", i)
	}
}

func TestEncrypted(t *testing.T) {
	f := film()
	sinf := box.Box("sinf", box.Box("frma", []byte("avc1")), box.Full("schm", 0, 0, []byte("cenc"), box.U32(0x10000)))
	avc := box.AVC(640, 360)
	f.Tracks[0].Entry = box.Picture("encv", 640, 360, avc[86:], sinf)
	m := read(t, f.Bytes())
	i := m.Info()
	if !i.Encrypted || i.Tracks[0].Codec != "h264" || m.Tracks[0].Entry().Scheme.String() != "cenc" {
		t.Errorf("encrypted %t, %q, %v", i.Encrypted, i.Tracks[0].Codec, m.Tracks[0].Entry().Scheme)
	}
}

// partial is a file of which only the first octets, and some ranges, have arrived.
type partial struct {
	raw  []byte
	here func(off, end int64) bool
}

var errLater = vam.Errorf(vam.Unavailable, "later")

func (p *partial) ReadAt(b []byte, off int64) (int, error) {
	end := min(off+int64(len(b)), int64(len(p.raw)))
	if !p.here(off, end) {
		return 0, errLater
	}
	n := copy(b, p.raw[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// A file whose index is at its end says what it needs, and is read once that is here.
func TestArrivingIndexLast(t *testing.T) {
	f := film()
	f.IndexLast = true
	raw := f.Bytes()
	moov := int64(bytes.Index(raw, []byte("moov")) - 4)
	var ranges [][2]int64
	p := &partial{raw: raw, here: func(off, end int64) bool {
		return slices.ContainsFunc(ranges, func(r [2]int64) bool { return off >= r[0] && end <= r[1] })
	}}
	var asked []isobmff.Missing
	for range 10 {
		m, err := isobmff.Read(p, int64(len(raw)), isobmff.Limits{})
		if err == nil {
			if m.Tracks[0].Len() != 60 {
				t.Errorf("%d samples", m.Tracks[0].Len())
			}
			// Once it is known where the index is, all of it is asked for at once.
			last, before := asked[len(asked)-1], asked[len(asked)-2]
			if last.Offset != moov || last.Offset+last.Size != int64(len(raw)) || before.Offset == moov {
				t.Errorf("asked for %+v; the index is at %d of %d", asked, moov, len(raw))
			}
			if last.Least != 8 {
				t.Errorf("%d octets of %+v say more; want the head of the index", last.Least, last)
			}
			return
		}
		var missing *isobmff.Missing
		if !errors.As(err, &missing) || vam.KindOf(err) != vam.Unavailable || !errors.Is(err, errLater) {
			t.Fatal(err)
		}
		asked = append(asked, *missing)
		ranges = append(ranges, [2]int64{missing.Offset, missing.Offset + missing.Size})
	}
	t.Fatalf("is not content with %+v", asked)
}

// A file whose index comes first is read as soon as the index is here.
func TestArrivingIndexFirst(t *testing.T) {
	f := film()
	raw := f.Bytes()
	end := int64(bytes.Index(raw, []byte("mdat")) - 4)
	for n := int64(0); n <= end; n++ {
		p := &partial{raw: raw, here: func(_, to int64) bool { return to <= n }}
		m, err := isobmff.Read(p, int64(len(raw)), isobmff.Limits{})
		if n == end {
			if err != nil || m.Tracks[1].Len() != 94 {
				t.Fatalf("%v, %v", m, err)
			}
			return
		}
		var missing *isobmff.Missing
		if !errors.As(err, &missing) {
			t.Fatalf("with %d octets: %v", n, err)
		}
		if missing.Offset+missing.Least <= n {
			t.Fatalf("with %d octets %+v is said to be worth another try", n, missing)
		}
		if missing.Offset > n || missing.Offset+missing.Size > end && missing.Offset < 40 && n >= 40 {
			t.Fatalf("with %d octets asks for %+v", n, missing)
		}
	}
}

// Fragments are read as far as they have come.
func TestArrivingFragments(t *testing.T) {
	f := film()
	f.Fragment = 10
	raw := f.Bytes()
	last := int64(-1)
	for n := int64(bytes.Index(raw, []byte("moof"))) - 4; n <= int64(len(raw)); n += 7 {
		p := &partial{raw: raw, here: func(_, to int64) bool { return to <= n }}
		m, err := isobmff.Read(p, int64(len(raw)), isobmff.Limits{})
		if err != nil {
			t.Fatalf("with %d octets: %v", n, err)
		}
		got := m.Tracks[0].Len()
		if got < last || got%10 != 0 {
			t.Fatalf("with %d octets %d samples, after %d", n, got, last)
		}
		if last = got; m.Missing != nil && (m.Missing.Offset+m.Missing.Size <= n) {
			t.Fatalf("with %d octets asks for %+v", n, m.Missing)
		}
	}
	if last < 50 {
		t.Errorf("%d samples at the end", last)
	}
}

// An error of the store is not taken for a damaged file.
func TestErrorsOfTheReaderPass(t *testing.T) {
	f := film()
	raw := f.Bytes()
	lost := vam.Errorf(vam.Corrupt, "the disk is on fire")
	for n := range int64(bytes.Index(raw, []byte("mdat"))) {
		p := readerFunc(func(b []byte, off int64) (int, error) {
			if off+int64(len(b)) > n {
				return 0, lost
			}
			return copy(b, raw[off:]), nil
		})
		if _, err := isobmff.Read(p, int64(len(raw)), isobmff.Limits{}); !errors.Is(err, lost) {
			if n > int64(bytes.Index(raw, []byte("mdat")))-8 {
				continue // the index is whole
			}
			t.Fatalf("with %d octets: %v", n, err)
		}
	}
}

type readerFunc func([]byte, int64) (int, error)

func (f readerFunc) ReadAt(b []byte, off int64) (int, error) { return f(b, off) }

// Every count in the index of every layout is set to the greatest there is.
func TestGreatestNumberAnywhere(t *testing.T) {
	f := film()
	for k := range f.Tracks {
		f.Tracks[k].Samples = f.Tracks[k].Samples[:40]
	}
	g := f
	g.Fragment = 20
	for _, raw := range [][]byte{f.Bytes(), g.Bytes()} {
		end := min(bytes.LastIndex(raw, []byte("mdat")), 4000)
		for i := 0; i+4 <= end; i += 2 {
			for _, v := range []uint32{math.MaxUint32, math.MaxInt32, 0} {
				bad := bytes.Clone(raw)
				binary.BigEndian.PutUint32(bad[i:], v)
				check(t, bad)
			}
		}
	}
}

// check reads what may be anything and holds the promises of Read to it.
func check(t testing.TB, raw []byte) {
	start := time.Now()
	m, err := isobmff.Read(bytes.NewReader(raw), int64(len(raw)), isobmff.Limits{})
	if err != nil {
		if k := vam.KindOf(err); k != vam.Invalid && k != vam.NotFound && k != vam.TooLarge {
			t.Errorf("%s: %v", k, err)
		}
		return
	}
	i := m.Info()
	if i.Duration < 0 {
		t.Errorf("the duration is %s", i.Duration)
	}
	for _, tr := range m.Tracks {
		c := tr.Cursor()
		at := int64(math.MinInt64)
		var s isobmff.Sample
		for range min(tr.Len(), 10_000) {
			ok := c.Next(&s)
			if !ok || s.Offset < 0 || s.Offset+int64(s.Size) > int64(len(raw)) || s.Decode < at {
				t.Fatalf("sample %d of %d is %+v, %t in a file of %d", c.Index(), tr.Len(), s, ok, len(raw))
			}
			at = s.Decode
		}
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("took %s", d)
	}
}
