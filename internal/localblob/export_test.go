package localblob

import (
	"context"
	"os"

	"github.com/videoactivmail/vam"
)

// FailFlush puts flush before every fdatasync and fsync of s.
func FailFlush(s *Store, flush func() error) {
	data, all := s.sys.fdatasync, s.sys.fsync
	before := func(next func(*os.File) error) func(*os.File) error {
		return func(f *os.File) error {
			if err := flush(); err != nil {
				return err
			}
			return next(f)
		}
	}
	s.sys.fdatasync, s.sys.fsync = before(data), before(all)
}

// FakeDisk makes s believe in a disk of the given size and room.
func FakeDisk(s *Store, ask func() (total, free vam.Bytes)) {
	s.sys.statfs = func(*os.File) (disk, error) {
		total, free := ask()
		return disk{total: total, free: free}, nil
	}
}

// Group is the shared flush.
type Group struct{ g group }

func (g *Group) Do(ctx context.Context, flush func() error) error { return g.g.do(ctx, flush) }

// OpenFiles is how many media files s has open.
func OpenFiles(s *Store) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.files)
}
