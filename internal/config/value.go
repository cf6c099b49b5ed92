package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
)

// Duration is a time span that is written as "30s", "4h", "14d" or "1d12h". A
// bare number is refused, because its unit would be a guess.
type Duration struct{ time.Duration }

const day = 24 * time.Hour

// maxDays keeps the sum inside time.Duration; no key comes near it.
const maxDays = 36500

// UnmarshalText reads the notation above. Errors: Invalid.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := parseDuration(string(b))
	if err != nil {
		return err
	}
	d.Duration = v
	return nil
}

func parseDuration(s string) (time.Duration, error) {
	bad := vam.Errorf(vam.Invalid, "%q is not a time span: write for example 30s, 4h or 14d", s)
	rest, sum := s, time.Duration(0)
	if n, after, ok := strings.Cut(s, "d"); ok {
		days, err := strconv.ParseUint(n, 10, 32)
		if err != nil || days > maxDays {
			return 0, bad
		}
		rest, sum = after, time.Duration(days)*day
		if rest == "" {
			return sum, nil
		}
	}
	v, err := time.ParseDuration(rest)
	if err != nil || v < 0 || v > maxDays*day {
		return 0, bad
	}
	return sum + v, nil
}

// String writes whole days with d and drops units that are zero: "14d", "1d12h",
// "1m30s".
func (d Duration) String() string {
	v := d.Duration
	out := ""
	if v >= day {
		out = strconv.FormatInt(int64(v/day), 10) + "d"
		v %= day
		if v == 0 {
			return out
		}
	}
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return out + s
}

// MarshalText writes the String form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Rate is a token bucket: Events tokens flow in during Per, and up to Burst of
// them can be used at once. The zero Rate lets nothing through.
type Rate struct {
	Events int
	Per    time.Duration
	Burst  int
}

// maxEvents keeps a rate inside what a token bucket can count.
const maxEvents = 1_000_000_000

// UnmarshalText reads "20/h", "20/h burst 5" or "1000/10m burst 50"; the units
// are s, m, h and d, and the burst is the number of events where it is left out.
// Errors: Invalid.
func (r *Rate) UnmarshalText(b []byte) error {
	bad := vam.Errorf(vam.Invalid, "%q is not a rate: write for example 20/h, or 2000/h burst 200", b)
	flow, burst, hasBurst := strings.Cut(string(b), " burst ")
	count, per, ok := strings.Cut(strings.TrimSpace(flow), "/")
	if !ok {
		return bad
	}
	events, err := strconv.Atoi(strings.TrimSpace(count))
	if err != nil || events < 0 || events > maxEvents {
		return bad
	}
	per = strings.TrimSpace(per)
	if per != "" && (per[0] < '0' || per[0] > '9') {
		per = "1" + per
	}
	span, err := parseDuration(per)
	if err != nil || span <= 0 {
		return bad
	}
	size := events
	if hasBurst {
		size, err = strconv.Atoi(strings.TrimSpace(burst))
		if err != nil || size < 0 || size > maxEvents {
			return bad
		}
	}
	*r = Rate{Events: events, Per: span, Burst: size}
	return nil
}

// String writes the notation that UnmarshalText reads, always with the burst.
func (r Rate) String() string {
	if r.Per <= 0 {
		return "0/s burst 0"
	}
	per := Duration{r.Per}.String()
	if len(per) == 2 && per[0] == '1' {
		per = per[1:]
	}
	return fmt.Sprintf("%d/%s burst %d", r.Events, per, r.Burst)
}

// MarshalText writes the String form.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
