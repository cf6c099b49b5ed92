package localblob

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
)

// Default of Options.Reserve: the smaller of the two.
const (
	reserveBytes = 256 * vam.MiB
	reservePart  = 100 // one in so many octets of the disk
)

// askAgain is how long an answer about free space is used while there is enough.
const askAgain = time.Second

// disk is what the operating system says of a file system.
type disk struct {
	total, free vam.Bytes // free is what an ordinary process may fill
}

// space keeps the reserve: it counts what is written and asks the operating system
// now and then, because others write to the disk too.
type space struct {
	dir     *os.File // of the data folder
	reserve vam.Bytes
	now     func() time.Time

	mu    sync.Mutex
	left  int64 // above the reserve, when last asked, less what was written since
	asked time.Time
}

func (s *space) open(root *os.Root, o Options) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	s.dir, s.reserve, s.now = dir, o.Reserve, o.Now
	if s.now == nil {
		s.now = time.Now
	}
	if o.Reserve < 0 {
		s.reserve = 0
	}
	if o.Reserve != 0 {
		return nil
	}
	d, err := statfs(dir)
	if err != nil {
		dir.Close()
		return err
	}
	s.reserve = min(reserveBytes, d.total/reservePart)
	return nil
}

func (s *space) close() error { return s.dir.Close() }

func (s *space) free(statfs func(*os.File) (disk, error)) (vam.Bytes, error) {
	d, err := statfs(s.dir)
	if err != nil {
		return 0, classify(err)
	}
	return max(0, d.free-s.reserve), nil
}

// take counts n octets that are about to be written. OverQuota when they do not fit
// above the reserve. It errs on the safe side when files are overwritten.
func (s *space) take(n int64, statfs func(*os.File) (disk, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if since := now.Sub(s.asked); s.left < n || since > askAgain || since < 0 {
		d, err := statfs(s.dir)
		if err != nil {
			return classify(err)
		}
		s.left, s.asked = int64(d.free-s.reserve), now
		if s.left < n {
			return errFull(fmt.Errorf("%d octets are to be written, %v are free, %v of them are the reserve", n, d.free, s.reserve))
		}
	}
	s.left -= n
	return nil
}
