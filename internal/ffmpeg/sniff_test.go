package ffmpeg_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/ffmpeg"
	"github.com/videoactivmail/vam/internal/media"
)

// texts are what programs that guess take for recordings. path is a file that they name.
func texts(path string) map[string]string {
	return map[string]string{
		"HLS with a local file":    "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\nfile://" + path + "\n#EXT-X-ENDLIST\n",
		"HLS with a URL":           "#EXTM3U\n#EXTINF:10.0,\nhttp://127.0.0.1:1/x.ts\n#EXT-X-ENDLIST\n",
		"HLS that names itself":    "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nself.mp4\n",
		"HLS with concat":          "#EXTM3U\n#EXTINF:1,\nconcat:" + path + "|" + path + "\n#EXT-X-ENDLIST\n",
		"ffconcat":                 "ffconcat version 1.0\nfile '" + path + "'\n",
		"DASH":                     `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>file://` + path + `</BaseURL></MPD>`,
		"ASX":                      `<asx version="3.0"><entry><ref href="file://` + path + `"/></entry></asx>`,
		"SVG":                      `<svg xmlns="http://www.w3.org/2000/svg"><image href="file://` + path + `"/></svg>`,
		"HTML":                     "<!DOCTYPE html><video src='" + path + "'></video>",
		"SDP":                      "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
		"M3U":                      path + "\n",
		"subtitles":                "1\n00:00:00,000 --> 00:00:01,000\nhello\n",
		"an image":                 "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
		"a GIF":                    "GIF89a\x01\x00\x01\x00",
		"a JPEG":                   "\xff\xd8\xff\xe0\x00\x10JFIF",
		"a script":                 "#!/bin/sh\ncat " + path + "\n",
		"a program":                "\x7fELF\x02\x01\x01",
		"a PDF":                    "%PDF-1.7",
		"a ZIP":                    "PK\x03\x04",
		"HLS behind a tag of ID3":  "ID3\x04\x00\x00\x00\x00\x00\x00#EXTM3U\n",
		"a tag of ID3 to nowhere":  "ID3\x04\x00\x00\x7f\x7f\x7f\x7f",
		"one octet":                "\x00",
		"nothing":                  "",
		"zeros":                    strings.Repeat("\x00", 4096),
		"letters of the sync mark": strings.Repeat("\xff", 4096),
	}
}

// TestTextsNeedNoProcess: they are refused by a tool whose ffprobe is no program at all.
func TestTextsNeedNoProcess(t *testing.T) {
	tool, err := ffmpeg.Open(t.Context(), ffmpeg.Options{Box: bare(t), FFprobe: script(t)})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range texts("/etc/passwd") {
		path := file(t, "video.mp4", []byte(text))
		if _, err := tool.Probe(t.Context(), path); media.ReasonOf(err) != media.NotMedia || vam.KindOf(err) != vam.Invalid {
			t.Errorf("%s: Probe = %v", name, err)
		}
		if _, err := tool.Make(t.Context(), media.NewWork(media.Poster), media.Info{}, path, t.TempDir(), nil); media.ReasonOf(err) != media.NotMedia {
			t.Errorf("%s: Make = %v", name, err)
		}
	}
	// What is a recording by its first octets is asked about, by a process.
	if _, err := tool.Probe(t.Context(), file(t, "video.mp4", box("ftyp", []byte("isom\x00\x00\x00\x00")))); err == nil || media.ReasonOf(err) == media.NotMedia {
		t.Errorf("Probe = %v, and the tool has no ffprobe", err)
	}
}

// script is a file that may be executed and does not run.
func script(t *testing.T) string {
	t.Helper()
	return filepath.Join("testdata", "not-a-program")
}

func TestSniff(t *testing.T) {
	frame := "\xff\xfb\x90\x00" + strings.Repeat("\x00", 413) // 128 kbit/s, 44.1 kHz
	aac := "\xff\xf1\x50\x80\x02\x1f\xfc" + strings.Repeat("\x00", 9)
	for want, starts := range map[string][]string{
		"mp4":      {"\x00\x00\x00\x14ftypisom", "\x00\x00\x00\x14ftypmp42", "\x00\x00\x00\x08moof", "\x00\x00\x00\x18stypmsdh", "\x00\x00\x00\x08ftyp"},
		"mov":      {"\x00\x00\x00\x14ftypqt  ", "\x00\x00\x00\x08moov", "\x00\x00\x00\x01mdat", "\x00\x00\x00\x08wide"},
		"3gp":      {"\x00\x00\x00\x14ftyp3gp4", "\x00\x00\x00\x14ftyp3g2a"},
		"heif":     {"\x00\x00\x00\x14ftypheic", "\x00\x00\x00\x14ftypmif1", "\x00\x00\x00\x14ftypavif"},
		"webm":     {"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm"},
		"matroska": {"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska", "\x1a\x45\xdf\xa3"},
		"ogg":      {"OggS"},
		"wav":      {"RIFF\x00\x00\x00\x00WAVE"},
		"avi":      {"RIFF\x00\x00\x00\x00AVI "},
		"flv":      {"FLV\x01"},
		"amr":      {"#!AMR\n", "#!AMR-WB\n"},
		"aiff":     {"FORM\x00\x00\x00\x00AIFF"},
		"asf":      {"\x30\x26\xb2\x75\x8e\x66\xcf\x11"},
		"mpegps":   {"\x00\x00\x01\xba"},
		"mpegts":   {strings.Repeat("\x47"+strings.Repeat("\x00", 187), 6), strings.Repeat("\x00\x00\x00\x00\x47"+strings.Repeat("\x00", 187), 6)},
		"flac":     {"fLaC", "ID3\x04\x00\x00\x00\x00\x00\x02..fLaC"},
		"mp3":      {frame + frame, "ID3\x04\x00\x00\x00\x00\x00\x02.." + frame + frame},
		"adts":     {aac + aac},
		"":         {"", "RIFF\x00\x00\x00\x00WEBP", frame + "text", aac + "text", strings.Repeat("\x47"+strings.Repeat("\x00", 187), 3), "ftyp", "ID3"},
	} {
		for _, start := range starts {
			if got, err := ffmpeg.Sniff(strings.NewReader(start)); got != want || err != nil {
				t.Errorf("Sniff(%.24q) = %q, %v; want %q", start, got, err, want)
			}
		}
	}
}

func FuzzSniff(f *testing.F) {
	for _, text := range texts("/etc/passwd") {
		f.Add([]byte(text))
	}
	f.Add([]byte("\xff\xfb\x90\x00"))
	f.Add([]byte("\xff\xf1\x50\x80\x00\xff\xfc"))
	f.Add([]byte("\x1a\x45\xdf\xa3\x42\x82"))
	f.Fuzz(func(t *testing.T, b []byte) {
		name, err := ffmpeg.Sniff(bytes.NewReader(b))
		if err != nil {
			t.Error(err)
		}
		if strings.HasPrefix(string(b), "#EXTM3U") && name != "" {
			t.Errorf("a playlist is %s", name)
		}
	})
}

func FuzzSpan(f *testing.F) {
	for _, s := range []string{"0.000,0.04\n0.04,0.04\n", "N/A,N/A\n", "-1.5,\n", "1e300,1e300\n", strings.Repeat("9", 100_000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if ends := ffmpeg.Span(strings.NewReader(s)); ends[1] < ends[0] && !strings.Contains(s, "-") {
			t.Errorf("the span is %v", ends)
		}
	})
}
