package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"net/http"
	"strings"
)

//go:embed static/watch.css static/watch.js static/icon.svg
var staticFiles embed.FS

// static is one file that pages need, under a name that changes with its content.
type static struct {
	path        string // with its hash
	contentType string
	data        []byte
	gzipped     []byte // nil where it is no smaller
}

// statics are all of them; they do not change.
type statics struct {
	css, js, icon, card static
}

func newStatics() (*statics, error) {
	s := new(statics)
	for _, f := range []struct {
		to                *static
		name, contentType string
	}{
		{&s.css, "watch.css", "text/css; charset=utf-8"},
		{&s.js, "watch.js", "text/javascript; charset=utf-8"},
		{&s.icon, "icon.svg", "image/svg+xml"},
	} {
		data, err := staticFiles.ReadFile("static/" + f.name)
		if err == nil {
			*f.to, err = newStatic(f.name, f.contentType, data)
		}
		if err != nil {
			return nil, err
		}
	}
	card, err := drawCard()
	if err == nil {
		s.card, err = newStatic("card.png", "image/png", card)
	}
	return s, err
}

func newStatic(name, contentType string, data []byte) (static, error) {
	sum := sha256.Sum256(data)
	stem, ext, _ := strings.Cut(name, ".")
	s := static{path: staticPath + stem + "." + base64.RawURLEncoding.EncodeToString(sum[:9]) + "." + ext, contentType: contentType, data: data}
	var buf bytes.Buffer
	z, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return s, err
	}
	if _, err = z.Write(data); err == nil {
		err = z.Close()
	}
	if buf.Len() < len(data)*9/10 {
		s.gzipped = buf.Bytes()
	}
	return s, err
}

func (s *statics) find(path string) (static, bool) {
	for _, f := range []static{s.css, s.js, s.icon, s.card} {
		if f.path == path {
			return f, true
		}
	}
	return static{}, false
}

func (f static) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", `"`+f.path+`"`)
	if f.contentType == "image/png" {
		// The card is shown by those who unfurl a link, on their own pages.
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	body := f.data
	if f.gzipped != nil {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Get("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			body = f.gzipped
		}
	}
	writeWhole(w, r, http.StatusOK, body)
}

// acceptsGzip reads an Accept-Encoding (RFC 9110 section 12.5.3).
func acceptsGzip(header string) bool {
	for entry := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(entry, ";")
		if name = strings.TrimSpace(name); strings.EqualFold(name, "gzip") || name == "*" {
			return quality(params) > 0
		}
	}
	return false
}

// The card is what a link looks like where it is unfurled. It is the same for all, so
// that it says nothing of what the link protects.
const cardWidth, cardHeight = 1200, 630

// drawCard draws a play sign in a disc.
func drawCard() ([]byte, error) {
	paper, disc, sign := color.RGBA{0x16, 0x18, 0x1d, 255}, color.RGBA{0x3a, 0x4b, 0xc9, 255}, color.RGBA{255, 255, 255, 255}
	img := image.NewPaletted(image.Rect(0, 0, cardWidth, cardHeight), color.Palette{paper, disc, sign, color.RGBA{0x28, 0x32, 0x73, 255}, color.RGBA{0x9c, 0xa5, 0xe4, 255}})
	draw.Draw(img, img.Bounds(), image.NewUniform(paper), image.Point{}, draw.Src)
	const radius, side = 130.0, 62.0
	const reach = int(radius) + 1
	for y := cardHeight/2 - reach; y < cardHeight/2+reach; y++ {
		for x := cardWidth/2 - reach; x < cardWidth/2+reach; x++ {
			dx, dy := float64(x)-cardWidth/2, float64(y)-cardHeight/2
			inside := radius - math.Hypot(dx, dy)
			// The sign is what lies right of its back and between its two slopes.
			in := min(dx+side*0.62, (side*1.24-dx)*0.5-math.Abs(dy)*0.87)
			switch {
			case in > 0.7:
				img.SetColorIndex(x, y, 2)
			case in > -0.3 && inside > 0:
				img.SetColorIndex(x, y, 4)
			case inside > 0.7:
				img.SetColorIndex(x, y, 1)
			case inside > -0.3:
				img.SetColorIndex(x, y, 3)
			}
		}
	}
	var buf bytes.Buffer
	err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&buf, img)
	return buf.Bytes(), err
}
