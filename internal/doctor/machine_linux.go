package doctor

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/videoactivmail/vam"
)

// ReadMachine asks this computer. What it does not tell stays unknown.
func ReadMachine() Machine {
	var m Machine
	var tx unix.Timex // modes 0: only read
	if state, err := unix.Adjtimex(&tx); err == nil {
		synced := tx.Status&unix.STA_UNSYNC == 0 && state != unix.TIME_ERROR
		m.Synchronised = &synced
		m.ClockError = time.Duration(tx.Maxerror) * time.Microsecond
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
		m.Files = limit.Max // Go raises the soft limit to the hard one
	}
	m.UDPReceive = sysctlBytes("net/core/rmem_max")
	m.UDPSend = sysctlBytes("net/core/wmem_max")
	m.Congestion = strings.Fields(sysctl("net/ipv4/tcp_available_congestion_control"))
	m.Allowed = strings.Fields(sysctl("net/ipv4/tcp_allowed_congestion_control"))
	m.BufferForce = hasNetAdmin()
	return m
}

func sysctl(name string) string {
	b, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func sysctlBytes(name string) vam.Bytes {
	n, err := strconv.ParseInt(sysctl(name), 10, 64)
	if err != nil {
		return 0
	}
	return vam.Bytes(n)
}

func hasNetAdmin() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[0].Effective&(1<<unix.CAP_NET_ADMIN) != 0
}

// ReadDataFolder looks at a data folder without writing to it.
func ReadDataFolder(path string, reserve vam.Bytes) DataFolder {
	d := DataFolder{Path: path, Reserve: reserve}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		d.Err = err
		return d
	case !info.IsDir():
		d.Err = &os.PathError{Op: "open", Path: path, Err: unix.ENOTDIR}
		return d
	}
	if err := unix.Access(path, unix.R_OK|unix.W_OK|unix.X_OK); err != nil {
		d.Err = &os.PathError{Op: "write to", Path: path, Err: err}
		return d
	}
	d.Open = info.Mode().Perm()&0o077 != 0
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err == nil {
		free := vam.Bytes(fs.Bavail) * vam.Bytes(fs.Bsize)
		d.Free = &free
	}
	return d
}
