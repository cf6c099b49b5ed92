package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Available returns nil where New can work, and otherwise an error that says what
// is missing.
func Available() error {
	ns, err := New()
	if err != nil {
		return err
	}
	return ns.Close()
}

// Namespace is a network stack of its own: devices, addresses, ports, sysctls. It
// is safe for concurrent use until Close.
type Namespace struct {
	file *os.File
}

// New makes an empty namespace whose loopback device is up. The caller closes it.
func New() (*Namespace, error) {
	var ns *Namespace
	err := onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("a network namespace cannot be made (CAP_SYS_ADMIN is needed): %w", err)
		}
		fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("opening the new network namespace: %w", err)
		}
		ns = &Namespace{file: os.NewFile(uintptr(fd), "netns")}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := ns.SetUp("lo"); err != nil {
		return nil, errors.Join(err, ns.Close())
	}
	return ns, nil
}

// Close lets go of the namespace. Processes and sockets that are still inside keep
// it alive until they end.
func (ns *Namespace) Close() error { return ns.file.Close() }

// Do runs f on a thread that is inside the namespace. Sockets that f makes stay in
// the namespace for good, whichever thread uses them later; goroutines that f
// starts are outside.
func (ns *Namespace) Do(f func() error) error {
	return onOwnThread(func() error {
		if err := unix.Setns(int(ns.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering the network namespace: %w", err)
		}
		return f()
	})
}

// onOwnThread runs f on a thread that ends with it: its namespace has changed and
// no other goroutine may ever be put on it.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The first thread cannot end: it would stay in the namespace, keep it
			// alive, and be what /proc/self shows. Hold it while another one works.
			defer runtime.UnlockOSThread()
			done <- onOwnThread(f)
			return
		}
		done <- f() // never unlocked: the thread ends with the goroutine
	}()
	return <-done
}

// Start starts cmd inside the namespace. The caller waits for it.
//
// cmd must not ask for Pdeathsig: the kernel would send it when the thread that
// started the process ends, which is at once.
func (ns *Namespace) Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr != nil && cmd.SysProcAttr.Pdeathsig != 0 {
		return errors.New("a command in a network namespace cannot have a parent death signal")
	}
	return ns.Do(cmd.Start)
}

// Listen announces on an address inside the namespace. The address is an IP
// literal with a port.
func (ns *Namespace) Listen(ctx context.Context, lc net.ListenConfig, network, address string) (l net.Listener, err error) {
	doErr := ns.Do(func() error {
		l, err = lc.Listen(ctx, network, address)
		return err
	})
	return l, doErr
}

// ListenPacket is Listen for datagrams.
func (ns *Namespace) ListenPacket(ctx context.Context, lc net.ListenConfig, network, address string) (c net.PacketConn, err error) {
	doErr := ns.Do(func() error {
		c, err = lc.ListenPacket(ctx, network, address)
		return err
	})
	return c, doErr
}

// Dial connects from inside the namespace. The address must be an IP literal with
// a port: a name would be looked up by other threads, outside.
func (ns *Namespace) Dial(ctx context.Context, d net.Dialer, network, address string) (c net.Conn, err error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("dialling in a network namespace wants an IP literal: %w", err)
	}
	doErr := ns.Do(func() error {
		c, err = d.DialContext(ctx, network, address)
		return err
	})
	return c, doErr
}

// Sysctl sets a value below /proc/sys/net, such as "ipv4.tcp_congestion_control",
// for this namespace alone.
func (ns *Namespace) Sysctl(name, value string) error {
	path := filepath.Join("/proc/sys/net", filepath.FromSlash(strings.ReplaceAll(name, ".", "/")))
	return ns.Do(func() error {
		if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
			return fmt.Errorf("setting net.%s in the network namespace: %w", name, err)
		}
		return nil
	})
}

// SetUp brings a device up.
func (ns *Namespace) SetUp(device string) error {
	return ns.Do(func() error {
		return withIfreq(device, func(fd int, ifr *unix.Ifreq) error {
			if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, ifr); err != nil {
				return err
			}
			ifr.SetUint16(ifr.Uint16() | unix.IFF_UP)
			return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
		})
	})
}

// SetAddress gives a device its IPv4 address and network.
func (ns *Namespace) SetAddress(device string, prefix netip.Prefix) error {
	if !prefix.Addr().Is4() {
		return fmt.Errorf("%s is not an IPv4 network", prefix)
	}
	mask := net.CIDRMask(prefix.Bits(), 32)
	return ns.Do(func() error {
		return withIfreq(device, func(fd int, ifr *unix.Ifreq) error {
			if err := ifr.SetInet4Addr(prefix.Addr().AsSlice()); err != nil {
				return err
			}
			if err := unix.IoctlIfreq(fd, unix.SIOCSIFADDR, ifr); err != nil {
				return err
			}
			if err := ifr.SetInet4Addr(mask); err != nil {
				return err
			}
			return unix.IoctlIfreq(fd, unix.SIOCSIFNETMASK, ifr)
		})
	})
}

// SetMTU sets the largest packet of a device, in octets.
func (ns *Namespace) SetMTU(device string, mtu int) error {
	return ns.setUint32(device, unix.SIOCSIFMTU, uint32(mtu))
}

// SetTxQueue sets how many packets may wait in a device for whoever takes them.
func (ns *Namespace) SetTxQueue(device string, packets int) error {
	return ns.setUint32(device, unix.SIOCSIFTXQLEN, uint32(packets))
}

func (ns *Namespace) setUint32(device string, request uint, v uint32) error {
	return ns.Do(func() error {
		return withIfreq(device, func(fd int, ifr *unix.Ifreq) error {
			ifr.SetUint32(v)
			return unix.IoctlIfreq(fd, request, ifr)
		})
	})
}

// withIfreq runs f with a control socket of the calling thread's namespace.
func withIfreq(device string, f func(fd int, ifr *unix.Ifreq) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	ifr, err := unix.NewIfreq(device)
	if err != nil {
		return err
	}
	if err := f(fd, ifr); err != nil {
		return fmt.Errorf("device %s: %w", device, err)
	}
	return nil
}
