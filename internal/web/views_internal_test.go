package web

import (
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/videoactivmail/vam/internal/blob"
)

// gate is an index that is read as soon as it is opened.
type gate struct {
	open    chan struct{}
	reading *atomic.Int32
}

func (g gate) ReadAt([]byte, int64) (int, error) {
	g.reading.Add(1)
	defer g.reading.Add(-1)
	<-g.open
	return 0, io.ErrUnexpectedEOF
}

// However many recordings are asked for at the same time, few indexes are in memory while
// they are read.
func TestFewIndexesAreReadAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newViews()
		g := gate{open: make(chan struct{}), reading: new(atomic.Int32)}
		var done atomic.Int32
		const asked = 20
		for range asked {
			k := viewKey{blob.NewID(), 1000}
			go func() {
				_, _ = s.get(t.Context(), k, g)
				done.Add(1)
			}()
		}
		synctest.Wait()
		if n := g.reading.Load(); n != viewReaders {
			t.Errorf("%d indexes are read at the same time, want %d", n, viewReaders)
		}
		close(g.open)
		synctest.Wait()
		if n := done.Load(); n != asked {
			t.Errorf("%d of %d were answered", n, asked)
		}
	})
}
