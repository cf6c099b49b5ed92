package daemon

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/telemetry"
)

// What was done on recordings is counted by whose fault it was; what the end of the server
// cut off is done another time, and counted then.
func TestMediaWorkIsCounted(t *testing.T) {
	metrics := telemetry.NewMetrics("", "")
	m := maker{count: metrics.MediaWork}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	m.counted(t.Context(), media.Poster, nil)
	m.counted(t.Context(), media.Poster, media.Refuse(media.Broken, nil))
	m.counted(t.Context(), media.Poster, media.Refuse(media.Expensive, nil))
	m.counted(t.Context(), media.Rendition, vam.Errorf(vam.Unavailable, "the disk is full"))
	m.counted(t.Context(), media.Rendition, errors.New("nobody knows why"))
	m.counted(stopped, media.Probe, stopped.Err())
	families, err := metrics.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "vam_media_work_total" {
			continue
		}
		for _, series := range f.GetMetric() {
			name := ""
			for _, l := range series.GetLabel() { // in the order of their names
				name += l.GetValue() + " "
			}
			got[name] = series.GetCounter().GetValue()
		}
	}
	want := map[string]float64{"done poster ": 1, "refused poster ": 2, "failed rendition ": 2}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
