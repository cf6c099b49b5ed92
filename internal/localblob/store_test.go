package localblob_test

import (
	"testing"

	"github.com/videoactivmail/vam/internal/blob/blobtest"
	"github.com/videoactivmail/vam/internal/localblob"
)

func open(t testing.TB, dir string, o localblob.Options) *localblob.Store {
	t.Helper()
	s, err := localblob.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	blobtest.Run(t, func(t testing.TB, place string) blobtest.Store {
		return open(t, place, localblob.Options{})
	})
}

// Two open files at most, so that every test meets files that are closed and opened
// behind its back.
func TestConformanceFewFiles(t *testing.T) {
	for name, idle := range map[string]int{"NoIdle": -1, "OneIdle": 1} {
		t.Run(name, func(t *testing.T) {
			blobtest.Run(t, func(t testing.TB, place string) blobtest.Store {
				return open(t, place, localblob.Options{IdleFiles: idle})
			})
		})
	}
}
