package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
)

// Machine is what is known of the computer; a nil or zero field is not known and
// brings no finding. ReadMachine fills it.
type Machine struct {
	// Synchronised says whether the kernel's clock follows a time server, and
	// ClockError by how much it may be off.
	Synchronised *bool
	ClockError   time.Duration
	// Files is the greatest number of files that a process may open.
	Files uint64
	// UDPReceive and UDPSend are net.core.rmem_max and wmem_max, in octets.
	UDPReceive, UDPSend vam.Bytes
	// BufferForce says that this process may exceed them (CAP_NET_ADMIN).
	BufferForce bool
	// Congestion are the congestion controls that the kernel has loaded, Allowed
	// those that a user without privileges may choose.
	Congestion, Allowed []string
}

// DataFolder is what is known of the data folder.
type DataFolder struct {
	Path string
	// Err is why it cannot be used: it does not exist, is no folder, cannot be
	// written.
	Err error
	// Open says that other users may read it.
	Open bool
	// Free is the room on its disk, nil when that is not known; Reserve is
	// limits.reserve.
	Free    *vam.Bytes
	Reserve vam.Bytes
}

const (
	// wantFiles leaves room for 20,000 connections and their files.
	wantFiles = 65536
	// wantUDPBuffer is what quic-go asks for, 7 MiB.
	wantUDPBuffer = 7 * vam.MiB
	// maxClockError is half of what a signature forgives.
	maxClockError = 30 * time.Second
)

func checkMachine(m Machine, congestion string) []Finding {
	var out []Finding
	if m.Synchronised != nil {
		out = append(out, clock(m))
	}
	if m.Files > 0 {
		level, fix := OK, ""
		if m.Files < wantFiles {
			level, fix = Warn, fmt.Sprintf("raise the limit: LimitNOFILE=%d in the systemd unit, or ulimit -n", wantFiles)
		}
		out = append(out, finding("machine.files", "", level, fmt.Sprintf("at least %d", wantFiles), fmt.Sprint(m.Files), fix))
	}
	if m.UDPReceive > 0 {
		out = append(out, udpBuffers(m))
	}
	if len(m.Congestion) > 0 && congestion != "system" {
		out = append(out, congestionControl(m, congestion))
	}
	return out
}

func clock(m Machine) Finding {
	const expected = "follows a time server"
	switch {
	case !*m.Synchronised:
		return finding("machine.clock", "", Warn, expected, "the kernel says that it is not synchronised", "run a time service: apt-get install systemd-timesyncd, or chrony")
	case m.ClockError > maxClockError:
		return finding("machine.clock", "", Warn, expected, fmt.Sprintf("may be off by %s", m.ClockError.Round(time.Second)), "look at the time service: timedatectl timesync-status, or chronyc tracking")
	}
	return finding("machine.clock", "", OK, expected, "synchronised", "")
}

func udpBuffers(m Machine) Finding {
	expected := fmt.Sprintf("net.core.rmem_max and net.core.wmem_max at least %s", wantUDPBuffer)
	found := fmt.Sprintf("%s and %s", m.UDPReceive, m.UDPSend)
	switch {
	case m.UDPReceive >= wantUDPBuffer && m.UDPSend >= wantUDPBuffer:
		return finding("machine.udp", "", OK, expected, found, "")
	case m.BufferForce:
		return finding("machine.udp", "", OK, expected, found+", and this user may exceed them", "")
	}
	return finding("machine.udp", "", Warn, expected, found,
		fmt.Sprintf("sysctl -w net.core.rmem_max=%[1]d net.core.wmem_max=%[1]d, and the same in /etc/sysctl.d/vam.conf; without it HTTP/3 loses packets at speed", int64(wantUDPBuffer)))
}

func congestionControl(m Machine, want string) Finding {
	if want == "auto" {
		want = "bbr"
	}
	expected := want + " can be chosen"
	found := "available: " + strings.Join(m.Congestion, ", ")
	if !slices.Contains(m.Congestion, want) {
		return finding("machine.congestion", "", Warn, expected, found, "modprobe tcp_"+want+", and the same word in /etc/modules-load.d/vam.conf; until then the kernel's own is used, which is slow on paths that lose packets")
	}
	if !m.BufferForce && !slices.Contains(m.Allowed, want) {
		return finding("machine.congestion", "", Warn, expected, found+"; allowed to everybody: "+strings.Join(m.Allowed, ", "),
			fmt.Sprintf("sysctl -w net.ipv4.tcp_allowed_congestion_control=%q", strings.Join(append(slices.Clone(m.Allowed), want), " ")))
	}
	return finding("machine.congestion", "", OK, expected, found, "")
}

func checkDataFolder(d DataFolder) []Finding {
	if d.Path == "" {
		return nil
	}
	const expected = "a folder that this user can write and others cannot read"
	if d.Err != nil {
		return []Finding{finding("data.folder", d.Path, Fail, expected, d.Err.Error(), "create it and give it to the user that runs vam: install -d -m 0700 -o vam DIR; or set data_dir")}
	}
	folder := finding("data.folder", d.Path, OK, expected, "as expected", "")
	if d.Open {
		folder = finding("data.folder", d.Path, Warn, expected, "other users may read it", "chmod 0700 on it: it holds people's mail and the domain's keys")
	}
	out := []Finding{folder}
	if d.Free != nil {
		out = append(out, space(d))
	}
	return out
}

// space warns at twice the reserve, before mail is refused.
func space(d DataFolder) Finding {
	expected := fmt.Sprintf("more than the reserve of %s (limits.reserve)", d.Reserve)
	found := fmt.Sprintf("%s free", *d.Free)
	const fix = "make room or give the data folder a larger disk; what is over the reserve is refused, nothing is lost"
	switch {
	case *d.Free < d.Reserve:
		return finding("data.space", d.Path, Fail, expected, found, fix)
	case *d.Free < 2*d.Reserve:
		return finding("data.space", d.Path, Warn, expected, found, fix)
	}
	return finding("data.space", d.Path, OK, expected, found, "")
}
