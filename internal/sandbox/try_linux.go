package sandbox

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The statuses of an attempt.
const (
	tryWorked  = 10 // what should be stopped was not
	tryStopped = 11
)

// try does one thing that should not be possible and says why it was not.
func try(args []string) int {
	if len(args) != 2 {
		return 1
	}
	attempts := map[string]func(string) error{"read": tryRead, "dial": tryDial, "socket": trySocket, "memory": tryMemory, "privileges": tryPrivileges}
	attempt, ok := attempts[args[0]]
	if !ok {
		return 1
	}
	if err := attempt(args[1]); err != nil {
		fmt.Println(err)
		return tryStopped
	}
	return tryWorked
}

func tryRead(path string) error {
	_, err := os.ReadFile(path)
	return err
}

func tryDial(address string) error {
	c, err := net.DialTimeout("tcp", address, 2*time.Second)
	if err == nil {
		c.Close()
	}
	return err
}

func trySocket(string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func tryMemory(string) error {
	m, err := unix.Mmap(-1, 0, 2*tryBound, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err == nil {
		_ = unix.Munmap(m)
	}
	return err
}

// tryPrivileges works when there is anything to misuse.
func tryPrivileges(string) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&header, &have[0]); err != nil {
		return err
	}
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err != nil {
		return err
	}
	if set != 1 || have[0].Effective|have[0].Permitted|have[1].Effective|have[1].Permitted != 0 {
		return nil
	}
	return syscall.EPERM
}
