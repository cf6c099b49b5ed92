package vam

import (
	"fmt"
	"strconv"
	"strings"
)

// Bytes is a size or an offset in octets.
type Bytes int64

// Binary multiples.
const (
	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
	TiB Bytes = 1 << 40
)

// String writes the size for a person: "734 B", "1.5 GiB".
func (b Bytes) String() string {
	units := []struct {
		size Bytes
		name string
	}{{TiB, "TiB"}, {GiB, "GiB"}, {MiB, "MiB"}, {KiB, "KiB"}}
	for _, u := range units {
		if b >= u.size || b <= -u.size {
			return strings.TrimSuffix(strconv.FormatFloat(float64(b)/float64(u.size), 'f', 1, 64), ".0") + " " + u.name
		}
	}
	return fmt.Sprintf("%d B", int64(b))
}

// ParseBytes reads "1024", "1.5GiB", "10 GiB", "500MB"; KB, MB, GB and TB are the
// decimal multiples. Errors: Invalid.
func ParseBytes(s string) (Bytes, error) {
	t := strings.TrimSpace(s)
	i := len(t)
	for i > 0 && (t[i-1] < '0' || t[i-1] > '9') {
		i--
	}
	mult, ok := map[string]float64{
		"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
		"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	}[strings.ToLower(strings.TrimSpace(t[i:]))]
	n, err := strconv.ParseFloat(t[:i], 64)
	if !ok || err != nil || n < 0 || n*mult >= 1<<62 {
		return 0, Errorf(Invalid, "%q is not a size: write for example 10GiB, 500MB or 1048576", clip(s))
	}
	return Bytes(n * mult), nil
}

// MarshalText writes the exact number of octets with the largest binary unit that
// loses nothing.
func (b Bytes) MarshalText() ([]byte, error) {
	for _, u := range []struct {
		size Bytes
		name string
	}{{TiB, "TiB"}, {GiB, "GiB"}, {MiB, "MiB"}, {KiB, "KiB"}} {
		if b != 0 && b%u.size == 0 {
			return []byte(strconv.FormatInt(int64(b/u.size), 10) + u.name), nil
		}
	}
	return []byte(strconv.FormatInt(int64(b), 10)), nil
}

// UnmarshalText reads the ParseBytes form. Errors: Invalid.
func (b *Bytes) UnmarshalText(t []byte) error {
	v, err := ParseBytes(string(t))
	if err != nil {
		return err
	}
	*b = v
	return nil
}
