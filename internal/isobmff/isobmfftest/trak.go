package isobmfftest

import "slices"

func (t *Track) orDefaults() Track {
	d := *t
	if d.Timescale == 0 {
		d.Timescale = 48000
		if d.Video {
			d.Timescale = 90000
		}
	}
	if d.Handler == "" {
		d.Handler = "soun"
		if d.Video {
			d.Handler = "vide"
		}
	}
	if d.Entry == nil {
		d.Entry = AAC()
		if d.Video {
			d.Entry = AVC(640, 360)
		}
	}
	if d.Matrix == ([9]int32{}) {
		d.Matrix = Upright()
	}
	return d
}

func (f *File) trak(k int, chunks []chunk) []byte {
	t := f.Tracks[k].orDefaults()
	flags := uint32(3)
	if t.Disabled {
		flags = 2
	}
	var matrix []byte
	for _, v := range t.Matrix {
		matrix = append(matrix, U32(uint32(v))...)
	}
	parts := [][]byte{Full("tkhd", 0, flags, U32(0, 0, uint32(k+1), 0, 0), make([]byte, 16), matrix, U32(640<<16, 360<<16))}
	if t.Edits != nil {
		parts = append(parts, Box("edts", elst(t.Edits)))
	}
	if t.Reference != nil {
		parts = append(parts, Box("tref", t.Reference))
	}
	language := uint16(0x55c4) // und
	if t.Language != "" {
		language = 0
		for _, c := range t.Language {
			language = language<<5 | uint16(c-0x60)
		}
	}
	var total uint32
	for _, s := range t.Samples {
		total += s.Duration
	}
	if f.Fragment > 0 {
		total = 0
	}
	self := uint32(1)
	if t.External {
		self = 0
	}
	return Box("trak", append(parts, Box("mdia",
		Full("mdhd", 0, 0, U32(0, 0, t.Timescale, total), U16(language, 0)),
		Full("hdlr", 0, 0, U32(0), []byte(t.Handler), make([]byte, 13)),
		Box("minf", Full("vmhd", 0, 1, make([]byte, 8)),
			Box("dinf", Full("dref", 0, 0, U32(1), Full("url ", 0, self, []byte("file:///etc/passwd\x00")))),
			f.stbl(k, t, chunks))))...)
}

func elst(edits []Edit) []byte {
	var rows []byte
	for _, e := range edits {
		rate := e.Rate
		if rate == 0 {
			rate = 1 << 16
		}
		rows = append(rows, slices.Concat(U64(e.Duration, uint64(e.Start)), U32(rate))...)
	}
	return Full("elst", 1, 0, U32(uint32(len(edits))), rows)
}

func (f *File) stbl(k int, t Track, chunks []chunk) []byte {
	if f.Fragment > 0 {
		return Box("stbl", Full("stsd", 0, 0, U32(1), t.Entry), Full("stts", 0, 0, U32(0)),
			Full("stsc", 0, 0, U32(0)), Full("stsz", 0, 0, U32(0, 0)), Full("stco", 0, 0, U32(0)))
	}
	parts := [][]byte{Full("stsd", 0, 0, U32(1), t.Entry), runs("stts", 0, t.Samples, func(s Sample) uint32 { return s.Duration })}
	if slices.ContainsFunc(t.Samples, func(s Sample) bool { return s.Compose != 0 }) {
		parts = append(parts, runs("ctts", 1, t.Samples, func(s Sample) uint32 { return uint32(s.Compose) }))
	}
	if slices.ContainsFunc(t.Samples, func(s Sample) bool { return s.Other }) {
		var sync []uint32
		for i, s := range t.Samples {
			if !s.Other {
				sync = append(sync, uint32(i+1))
			}
		}
		parts = append(parts, Full("stss", 0, 0, U32(uint32(len(sync))), U32(sync...)))
	}
	sizes := make([]uint32, len(t.Samples))
	for i, s := range t.Samples {
		sizes[i] = uint32(s.Size)
	}
	var offsets []uint64
	var stsc []uint32
	last := -1
	for _, c := range chunks {
		if c.track != k {
			continue
		}
		offsets = append(offsets, uint64(c.offset))
		if c.n != last {
			stsc = append(stsc, uint32(len(offsets)), uint32(c.n), 1)
			last = c.n
		}
	}
	parts = append(parts, Full("stsc", 0, 0, U32(uint32(len(stsc)/3)), U32(stsc...)),
		Full("stsz", 0, 0, U32(0, uint32(len(sizes))), U32(sizes...)))
	if t.Wide {
		return Box("stbl", append(parts, Full("co64", 0, 0, U32(uint32(len(offsets))), U64(offsets...)))...)
	}
	narrow := make([]uint32, len(offsets))
	for i, o := range offsets {
		narrow[i] = uint32(o)
	}
	return Box("stbl", append(parts, Full("stco", 0, 0, U32(uint32(len(narrow))), U32(narrow...)))...)
}

// runs is a table of (count, value).
func runs(kind string, version byte, samples []Sample, value func(Sample) uint32) []byte {
	var rows []uint32
	for _, s := range samples {
		if n := len(rows); n > 0 && rows[n-1] == value(s) {
			rows[n-2]++
			continue
		}
		rows = append(rows, 1, value(s))
	}
	return Full(kind, version, 0, U32(uint32(len(rows)/2)), U32(rows...))
}

// fragmented is the file in fragments.
func (f *File) fragmented() []byte {
	out := slices.Concat(f.ftyp(), f.moov(nil))
	time := make([]uint64, len(f.Tracks))
	for k := range time {
		time[k] = f.Start
	}
	for from, serial := 0, uint32(1); ; from, serial = from+f.Fragment, serial+1 {
		var trafs, media []byte
		// The size of moof does not depend on the offsets in it.
		size := 0
		for pass := range 2 {
			trafs, media = nil, nil
			for k, t := range f.Tracks {
				to := min(from+f.Fragment, len(t.Samples))
				if from >= to {
					continue
				}
				var rows []byte
				offset := size + 8 + len(media)
				for i, s := range t.Samples[from:to] {
					flags := uint32(0x02000000)
					if s.Other {
						flags = 0x01010000
					}
					rows = append(rows, U32(s.Duration, uint32(s.Size), flags, uint32(s.Compose))...)
					media = append(media, f.Media(k, from+i)...)
					if pass == 1 {
						time[k] += uint64(s.Duration)
					}
				}
				start := time[k]
				if pass == 1 {
					for _, s := range t.Samples[from:to] {
						start -= uint64(s.Duration)
					}
				}
				trafs = append(trafs, Box("traf", Full("tfhd", 0, 0x020000, U32(uint32(k+1))), Full("tfdt", 1, 0, U64(start)),
					Full("trun", 1, 0xf01, U32(uint32(to-from), uint32(offset)), rows))...)
			}
			size = len(Box("moof", Full("mfhd", 0, 0, U32(serial)), trafs))
		}
		if trafs == nil {
			return out
		}
		out = slices.Concat(out, Box("moof", Full("mfhd", 0, 0, U32(serial)), trafs), Box("mdat", media))
	}
}
