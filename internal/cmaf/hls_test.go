package cmaf_test

import (
	"fmt"

	"github.com/videoactivmail/vam/internal/cmaf"
	"github.com/videoactivmail/vam/internal/hls"
)

func playlist(v *cmaf.View) hls.Media {
	m := hls.Media{Map: "init.mp4", Independent: v.Independent()}
	for i, s := range v.Segments() {
		m.Segments = append(m.Segments, hls.Segment{URI: fmt.Sprintf("%d.m4s", i), Duration: s.Duration})
	}
	return m
}
