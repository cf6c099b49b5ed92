package web

import (
	"bytes"
	"embed"
	"net/http"

	"github.com/videoactivmail/vam"
)

//go:embed templates/*.html
var templateFiles embed.FS

// frame is what every page has.
type frame struct {
	words   *Catalogue
	Lang    string
	Dir     string
	Title   string // of the window
	Heading string
	Host    string
	Static  struct{ CSS, JS, Icon string }
	Script  bool
	// Refresh is after how many seconds a browser without script loads the page again; 0 is
	// never.
	Refresh   int
	Languages []languageLink
	Card      *card
}

type languageLink struct {
	Lang, Name string
	Current    bool
}

// card is what a link looks like where it is unfurled (OpenGraph). It says nothing of what
// the link protects.
type card struct {
	Title, Description, Site, Image string
	Width, Height                   int
}

func (v *visit) frame() *frame {
	h := v.h
	f := &frame{words: v.words, Lang: v.words.Lang, Dir: v.words.Dir, Host: h.o.Host}
	f.Static.CSS, f.Static.JS, f.Static.Icon = h.statics.css.path, h.statics.js.path, h.statics.icon.path
	for _, c := range h.words {
		f.Languages = append(f.Languages, languageLink{c.Lang, c.Name, c == v.words})
	}
	return f
}

func (v *visit) card(kind vam.Kind) *card {
	base := v.h.o.URL
	if base == "" {
		base = "https://" + v.Host
	}
	c := &card{Site: v.h.o.Host, Image: base + v.h.statics.card.path, Width: cardWidth, Height: cardHeight}
	c.Title, _ = v.words.text(string(kind) + ".card")
	c.Description, _ = v.words.text("card.description")
	return c
}

// T is the text of that key for the templates.
func (f *frame) T(key string, args ...any) (string, error) { return f.words.text(key, args...) }

// mustT is T for keys that are in every catalogue, as New and the tests see to.
func (f *frame) mustT(key string, args ...any) string {
	text, err := f.words.text(key, args...)
	if err != nil {
		return key
	}
	return text
}

// render writes a page whole or not at all.
func (v *visit) render(name string, status int, page any) error {
	var buf bytes.Buffer
	if err := v.h.templates.ExecuteTemplate(&buf, name, page); err != nil {
		return err
	}
	pageHeaders(v.w.Header())
	if v.at.token == "" && status == http.StatusOK {
		v.w.Header().Set("Cache-Control", "public, max-age=300")
	}
	v.w.Header().Set("Content-Language", v.words.Lang)
	writeWhole(v.w, v.Request, status, buf.Bytes())
	return nil
}
