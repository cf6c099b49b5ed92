package sandbox

import (
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// lowerGroup makes the session of this process stand back for others. Where the kernel shares
// the processor between sessions (autogroup in sched(7)), as most systems let it, the priority
// of a process counts within its own session alone, in which a confined program is alone.
// Errors are ignored: where there are no such groups, setpriority does it.
func lowerGroup(nice int) {
	const (
		tries = 20
		pause = 20 * time.Millisecond // the kernel takes ten a second of ordinary users
	)
	for range tries {
		err := os.WriteFile("/proc/self/autogroup", []byte(strconv.Itoa(nice)), 0)
		if !errors.Is(err, unix.EAGAIN) {
			return
		}
		time.Sleep(pause)
	}
}
