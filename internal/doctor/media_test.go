package doctor_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/videoactivmail/vam/internal/doctor"
)

func TestMedia(t *testing.T) {
	layers := []doctor.Layer{{Name: "limits", Active: true}, {Name: "landlock", Active: true}, {Name: "namespaces", Detail: "this user may not make them"}}
	for name, tt := range map[string]struct {
		m      doctor.Media
		levels map[string]doctor.Level
		found  string
	}{
		"all is well": {
			doctor.Media{FFmpeg: "ffmpeg 5.1", Layers: layers, Confined: true},
			map[string]doctor.Level{"media.ffmpeg": doctor.OK, "media.sandbox": doctor.OK},
			"active: limits, landlock; not here: namespaces (this user may not make them)",
		},
		"no ffmpeg": {
			doctor.Media{Err: errors.New("ffmpeg is not installed")},
			map[string]doctor.Level{"media.ffmpeg": doctor.Warn},
			"ffmpeg is not installed",
		},
		"not confined": {
			doctor.Media{FFmpeg: "ffmpeg 5.1", Layers: layers[:1]},
			map[string]doctor.Level{"media.ffmpeg": doctor.OK, "media.sandbox": doctor.Warn},
			"nothing is made",
		},
		"not confined, and allowed": {
			doctor.Media{FFmpeg: "ffmpeg 5.1", Unconfined: true},
			map[string]doctor.Level{"media.ffmpeg": doctor.OK, "media.sandbox": doctor.Fail},
			"active: none; media.unconfined lets it run",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := doctor.ExamineLocal(t.Context(), doctor.Env{Media: &tt.m}, doctor.Local{})
			levels, text := map[string]doctor.Level{}, ""
			for _, f := range r.Findings {
				levels[f.ID] = f.Level
				text += f.Found + "\n"
				if (f.Level == doctor.OK) != (f.Fix == "") {
					t.Errorf("%s at level %s has the fix %q", f.ID, f.Level, f.Fix)
				}
			}
			for id, want := range tt.levels {
				if levels[id] != want {
					t.Errorf("%s is %q, want %s", id, levels[id], want)
				}
			}
			if len(levels) != len(tt.levels) || !strings.Contains(text, tt.found) {
				t.Errorf("%v, %s", levels, text)
			}
		})
	}
}
