package isobmff_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	box "github.com/videoactivmail/vam/internal/isobmff/isobmfftest"
	"github.com/videoactivmail/vam/internal/media"
)

type entry struct {
	name  string
	video bool
	raw   []byte
	want  media.Track
}

func hvcC(profile byte, compatible uint32, constraint byte, level byte, depth byte) []byte {
	return box.Box("hvcC", []byte{1, profile}, box.U32(compatible), []byte{constraint, 0, 0, 0, 0, 0, level, 0xf0, 0, 0xfc, 0xfc | 1, 0xf8 | (depth - 8), 0xf8, 0, 0, 0, 0})
}

// quicktime is QuickTime's sound description of version 1, whose codec is described in wave.
func quicktime(kind string, channels, bits, rate int, wave ...[]byte) []byte {
	return box.Box(kind, make([]byte, 6), box.U16(1, 1), make([]byte, 6), box.U16(uint16(channels), uint16(bits)), box.U32(0, uint32(rate)<<16),
		box.U32(1024, 0, 0, 2), box.Box("wave", slices.Concat(wave...)))
}

func entries() []entry {
	video := func(codec, rfc, profile, pixels string, depth int) media.Track {
		return media.Track{Codec: codec, RFC6381: rfc, Profile: profile, PixelFormat: pixels, BitDepth: depth}
	}
	sound := func(codec, rfc, profile string, channels, rate int) media.Track {
		return media.Track{Codec: codec, RFC6381: rfc, Profile: profile, Channels: channels, SampleRate: rate}
	}
	colr := box.Box("colr", []byte("nclc"), box.U16(9, 16, 9))
	hdr := video("hevc", "hvc1.2.4.H153.B0", "Main 10", "yuv420p10le", 10)
	hdr.Colour = media.Colour{Primaries: "bt2020", Transfer: "smpte2084", Matrix: "bt2020nc"}
	full := video("vp9", "vp09.02.10.10", "Profile 2", "yuv420p10le", 10)
	full.Colour = media.Colour{Primaries: "bt709", Transfer: "bt709", Matrix: "bt709", FullRange: true}
	whole := video("h264", "avc3.42c00a", "Constrained Baseline", "yuvj420p", 8)
	whole.Colour = full.Colour
	// A sequence parameter set of x264 with a description of the signal: full range, bt709.
	sps := []byte{0x67, 0x42, 0xc0, 0x0a, 0xda, 0x0f, 0x0a, 0x69, 0xb8, 0x08, 0x08, 0x0a, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x65, 0x08}
	avc := func(kind string) []byte {
		return box.Picture(kind, 64, 64, box.Box("avcC", []byte{1, 0x42, 0xc0, 0x0a, 0xff, 0xe1}, box.U16(uint16(len(sps))), sps, []byte{0}))
	}
	return []entry{
		{"avc1", true, box.AVC(64, 64), video("h264", "avc1.64001f", "High", "yuv420p", 8)},
		{"avc3", true, avc("avc3"), whole},
		{"hvc1", true, box.Picture("hvc1", 64, 64, hvcC(0x22, 0x20000000, 0xb0, 153, 10), colr), hdr},
		{"hev1", true, box.Picture("hev1", 64, 64, hvcC(1, 0x60000000, 0x90, 93, 8)), video("hevc", "hev1.1.6.L93.90", "Main", "yuv420p", 8)},
		{"av01", true, box.Picture("av01", 64, 64, box.Box("av1C", []byte{0x81, 0x08, 0x4c, 0})), video("av1", "av01.0.08M.10", "Main", "yuv420p10le", 10)},
		{"vp09", true, box.Picture("vp09", 64, 64, box.Full("vpcC", 1, 0, []byte{2, 10, 0xa3, 1, 1, 1, 0, 0})), full},
		{"vp08", true, box.Picture("vp08", 64, 64), video("vp8", "vp08", "", "", 0)},
		{"mp4v", true, box.Picture("mp4v", 64, 64, box.ESDS(0x20, nil)), video("mpeg4", "mp4v.20", "", "", 0)},
		{"s263", true, box.Picture("s263", 64, 64), video("h263", "", "", "", 0)},
		{"vvc1", true, box.Picture("vvc1", 64, 64), video("vvc", "", "", "", 0)},
		{"apcn", true, box.Picture("apcn", 64, 64), video("prores", "", "", "", 0)},
		{"raw", true, box.Picture("raw ", 64, 64), video("rawvideo", "", "", "", 0)},
		{"unheard of", true, box.Picture("xyzw", 64, 64), media.Track{}},
		{"aac", false, box.AAC(), sound("aac", "mp4a.40.2", "LC", 2, 48000)},
		{"he-aac", false, box.Sound("mp4a", 2, 24000, box.ESDS(0x40, []byte{0x2b, 0x11, 0x88, 0})), sound("aac", "mp4a.40.5", "HE-AAC", 2, 48000)},
		{"aac of mpeg-2", false, box.Sound("mp4a", 1, 22050, box.ESDS(0x67, nil)), sound("aac", "mp4a.67", "LC", 1, 22050)},
		{"mp3", false, box.Sound("mp4a", 1, 44100, box.ESDS(0x6b, nil)), sound("mp3", "mp4a.6b", "", 1, 44100)},
		{"mp3 of quicktime", false, quicktime(".mp3", 2, 16, 44100), sound("mp3", "mp4a.6b", "", 2, 44100)},
		{"aac of quicktime", false, quicktime("mp4a", 2, 16, 44100, box.Box("frma", []byte("mp4a")), box.ESDS(0x40, []byte{0x12, 0x10})), sound("aac", "mp4a.40.2", "LC", 2, 44100)},
		{"opus", false, box.Sound("Opus", 2, 16000, box.Box("dOps", make([]byte, 11))), sound("opus", "opus", "", 2, 48000)},
		{"flac", false, box.Sound("fLaC", 2, 44100), sound("flac", "flac", "", 2, 44100)},
		{"ac-3", false, box.Sound("ac-3", 6, 48000), sound("ac3", "ac-3", "", 6, 48000)},
		{"alac", false, box.Sound("alac", 2, 0, box.Full("alac", 0, 0, make([]byte, 9), []byte{2}, make([]byte, 10), box.U32(96000))), sound("alac", "alac", "", 2, 96000)},
		{"amr", false, box.Sound("samr", 1, 8000), sound("amr_nb", "", "", 1, 8000)},
		{"ipcm", false, box.Sound("ipcm", 1, 44100, box.Full("pcmC", 0, 0, []byte{0, 16})), sound("pcm_s16be", "", "", 1, 44100)},
		{"fpcm", false, box.Sound("fpcm", 1, 44100, box.Full("pcmC", 0, 0, []byte{1, 32})), sound("pcm_f32le", "", "", 1, 44100)},
		{"sowt", false, box.Sound("sowt", 2, 44100), sound("pcm_s16le", "", "", 2, 44100)},
		{"raw sound", false, box.Sound("raw ", 1, 8000), sound("pcm_u8", "", "", 1, 8000)},
	}
}

func TestCodecs(t *testing.T) {
	for _, e := range entries() {
		t.Run(e.name, func(t *testing.T) {
			f := box.File{Tracks: []box.Track{{Video: e.video, Entry: e.raw, Samples: frames(1, 1, 1)}}}
			g := read(t, f.Bytes()).Info().Tracks[0]
			got := media.Track{
				Codec: g.Codec, RFC6381: g.RFC6381, Profile: g.Profile, PixelFormat: g.PixelFormat, BitDepth: g.BitDepth, Colour: g.Colour,
				Channels: g.Channels, SampleRate: g.SampleRate,
			}
			if diff := cmp.Diff(e.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
