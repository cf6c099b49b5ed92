package localblob

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/videoactivmail/vam"
)

func statfs(f *os.File) (disk, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return disk{}, err
	}
	block := vam.Bytes(st.Bsize)
	return disk{total: vam.Bytes(st.Blocks) * block, free: vam.Bytes(st.Bavail) * block}, nil
}
