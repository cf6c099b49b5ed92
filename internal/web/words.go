package web

import (
	"embed"
	"encoding/json"
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
)

//go:embed locales/*.json
var localeFiles embed.FS

// Catalogue has the words of one language. It does not change.
type Catalogue struct {
	// Lang is the BCP 47 tag, of which the primary subtag decides; Name is how the language
	// calls itself.
	Lang string `json:"lang"`
	Name string `json:"name"`
	// Dir is "ltr" or "rtl".
	Dir string `json:"dir"`
	// Plural is the rule for a number: "one-other" or "other".
	Plural string `json:"plural"`
	// Decimal stands between the whole and the fraction of a number.
	Decimal string `json:"decimal"`
	// Date has the places day, month, year and time.
	Date   string            `json:"date"`
	Months [12]string        `json:"months"`
	Texts  map[string]string `json:"texts"`
}

// ParseCatalogue reads a file in the form of locales/en.json. Errors: Invalid, also for a
// text that English has and the file has not, or that has other places.
func ParseCatalogue(data []byte) (*Catalogue, error) {
	c := new(Catalogue)
	if err := json.Unmarshal(data, c); err != nil {
		return nil, vam.Wrap(vam.Invalid, err, "the catalogue is not JSON")
	}
	if c.Lang == "" || c.Name == "" || c.Dir != "ltr" && c.Dir != "rtl" || c.Plural != "one-other" && c.Plural != "other" {
		return nil, vam.Errorf(vam.Invalid, "the catalogue lacks its language, name, direction or plural rule")
	}
	return c, nil
}

// complete compares c with the catalogue that has every text.
func (c *Catalogue) complete(all *Catalogue) error {
	for key, want := range all.Texts {
		text, ok := c.Texts[key]
		if !ok {
			return vam.Errorf(vam.Invalid, "the catalogue %q lacks the text %q", c.Lang, key)
		}
		for _, place := range places(want) {
			if !strings.Contains(text, place) {
				return vam.Errorf(vam.Invalid, "the text %q of the catalogue %q lacks %s", key, c.Lang, place)
			}
		}
	}
	return nil
}

// places are the "{name}" of a text.
func places(text string) (out []string) {
	for {
		_, rest, ok := strings.Cut(text, "{")
		if !ok {
			return out
		}
		name, rest, ok := strings.Cut(rest, "}")
		if !ok {
			return out
		}
		out = append(out, "{"+name+"}")
		text = rest
	}
}

// ownCatalogues are those that are part of the program, English first.
func ownCatalogues() ([]*Catalogue, error) {
	var out []*Catalogue
	for _, lang := range []string{"en", "de"} {
		data, err := localeFiles.ReadFile(path.Join("locales", lang+".json"))
		if err != nil {
			return nil, err
		}
		c, err := ParseCatalogue(data)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// has reports whether there is such a text.
func (c *Catalogue) has(key string) bool { return c.Texts[key] != "" }

// text is the text of that key with its places filled: name, value, name, value …
func (c *Catalogue) text(key string, args ...any) (string, error) {
	text, ok := c.Texts[key]
	if !ok {
		return "", fmt.Errorf("the catalogue %s has no text %q", c.Lang, key)
	}
	if len(args) == 0 {
		return text, nil
	}
	pairs := make([]string, len(args))
	for i, a := range args {
		if pairs[i] = fmt.Sprint(a); i%2 == 0 {
			pairs[i] = "{" + pairs[i] + "}"
		}
	}
	return strings.NewReplacer(pairs...).Replace(text), nil
}

// number writes f with up to that many digits behind the point.
func (c *Catalogue) number(f float64, digits int) string {
	s := strconv.FormatFloat(f, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return strings.Replace(s, ".", c.Decimal, 1)
}

// size writes octets in decimal units, as browsers and file managers do.
func (c *Catalogue) size(n int64) string {
	for _, u := range []struct {
		of   float64
		name string
	}{{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}} {
		if f := float64(n) / u.of; f >= 0.9995 {
			digits := 1
			if f >= 99.95 {
				digits = 0
			}
			return c.number(f, digits) + " " + u.name
		}
	}
	return strconv.FormatInt(n, 10) + " B"
}

// when writes a moment in UTC; a script shows it on the reader's own clock.
func (c *Catalogue) when(t time.Time) string {
	t = t.UTC()
	return strings.NewReplacer("{day}", strconv.Itoa(t.Day()), "{month}", c.Months[t.Month()-1],
		"{year}", strconv.Itoa(t.Year()), "{time}", t.Format("15:04")).Replace(c.Date)
}

// clock writes a length as players do: 0:07, 1:23, 1:02:03.
func clock(d time.Duration) string {
	s := int64(math.Round(d.Seconds()))
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// spoken writes a length in words, for those who hear it.
func (c *Catalogue) spoken(d time.Duration) (string, error) {
	s := int64(math.Round(d.Seconds()))
	var out []string
	for _, part := range []struct {
		unit string
		n    int64
	}{{"hours", s / 3600}, {"minutes", s / 60 % 60}, {"seconds", s % 60}} {
		if part.n == 0 && (part.unit != "seconds" || len(out) > 0) {
			continue
		}
		form := "other"
		if c.Plural == "one-other" && part.n == 1 {
			form = "one"
		}
		text, err := c.text("duration."+part.unit+"."+form, "n", part.n)
		if err != nil {
			return "", err
		}
		out = append(out, text)
	}
	return strings.Join(out, " "), nil
}
