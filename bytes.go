package vam

import (
	"fmt"
	"math/big"
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
	mult, known := map[string]int64{
		"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
		"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	}[strings.ToLower(strings.TrimSpace(t[i:]))]
	n, ok := scale(t[:i], mult)
	if !known || !ok {
		return 0, Errorf(Invalid, "%q is not a size: write for example 10GiB, 500MB or 1048576", clip(s))
	}
	return n, nil
}

// scale multiplies a decimal number by mult without losing an octet on the way;
// fractions of an octet are dropped.
func scale(number string, mult int64) (Bytes, bool) {
	const longest = 40 // digits; more than any size needs
	whole, frac, point := strings.Cut(number, ".")
	if !digits(whole) || point && !digits(frac) || len(number) > longest {
		return 0, false
	}
	r, ok := new(big.Rat).SetString(number)
	if !ok {
		return 0, false
	}
	r.Mul(r, new(big.Rat).SetInt64(mult))
	n := new(big.Int).Quo(r.Num(), r.Denom())
	return Bytes(n.Int64()), n.BitLen() <= 62
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

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
