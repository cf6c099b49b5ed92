package main

import (
	"golang.org/x/sys/unix"

	"github.com/videoactivmail/vam"
)

// settle makes what is measured next independent of what came before: the disk
// finishes what others have written, and the kernel's free memory is such that the
// host of a virtual machine has behind it. Hosts take free pages back and give them
// again at the first touch, at some 200 MB/s on the machine where this was found:
// without it a table ranks its rows by how much memory the ones before have left
// warm.
func settle(size vam.Bytes) {
	unix.Sync()
	warm(size)
}

// warm touches fresh memory and gives it back to the kernel.
func warm(size vam.Bytes) {
	if size == 0 {
		return
	}
	b, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return // a machine that has not as much is measured as it is
	}
	const page = 4096
	for i := 0; i < len(b); i += page {
		b[i] = 1
	}
	_ = unix.Munmap(b)
}
