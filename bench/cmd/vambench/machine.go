package main

import (
	"os"

	"github.com/videoactivmail/vam"
)

// settle makes what is measured next independent of what came before: the disk
// finishes what others have written, and the page cache has memory that is warm.
//
// The second is for virtual machines. A host gives a guest its memory at the first
// touch and takes free pages back; on the machine where this was found a first
// gigabyte in the page cache cost 2 to 5 s and the same again 0.25 s. Without it a
// table ranks its rows by how much warm memory the ones before them have left.
func settle(dir string, size vam.Bytes) {
	flushDisk()
	warm(dir, size)
}

// warm fills that much of the page cache with a file and removes it, before it
// reaches the disk.
func warm(dir string, size vam.Bytes) {
	f, err := os.CreateTemp(dir, "warm-*")
	if err != nil {
		return // a machine that has no room is measured as it is
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	buf := make([]byte, vam.MiB)
	for n := vam.Bytes(0); n < size; n += vam.MiB {
		if _, err := f.Write(buf); err != nil {
			return
		}
	}
}
