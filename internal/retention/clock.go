package retention

import "time"

const (
	// maxJump is how far the clock may go in a moment without being doubted.
	maxJump = 10 * time.Minute
	// settleFor is how long a clock that jumped has to go on steadily.
	settleFor = time.Hour
)

// steadiness tells a clock that goes from one that was set: a machine that wakes up in
// the wrong year must not end everything before its clock is corrected.
type steadiness struct {
	wall, mono time.Time
	doubt      time.Time // monotonic: until then nothing is believed
}

// trust reports whether wall may be believed; mono has a monotonic reading.
func (s *steadiness) trust(wall, mono time.Time) bool {
	wall = wall.Round(0) // without its monotonic reading
	if !s.mono.IsZero() {
		if jump := wall.Sub(s.wall) - mono.Sub(s.mono); jump.Abs() > maxJump {
			s.doubt = mono.Add(settleFor)
		}
	}
	s.wall, s.mono = wall, mono
	return !mono.Before(s.doubt)
}
