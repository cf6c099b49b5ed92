package amserver

import (
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
)

// firstBody is how much memory a request body has at first. It grows with what arrives,
// never with what was announced (AM-10.31).
const firstBody = 16 << 10

// bodyMemory is the memory for request bodies, which nobody has vouched for until they
// are read whole. One address may hold a part of it only, so that a peer that sends
// slowly does not keep all others out.
type bodyMemory struct {
	share int64 // for one address

	mu   sync.Mutex
	free int64
	of   map[netip.Prefix]int64
}

func newBodyMemory(total, longest vam.Bytes) *bodyMemory {
	return &bodyMemory{
		share: max(int64(total)/4, int64(longest)), free: int64(total),
		of: make(map[netip.Prefix]int64),
	}
}

// held is the memory of one body. It is for one goroutine.
type held struct {
	memory *bodyMemory
	addr   netip.Prefix
	octets int64
}

func (m *bodyMemory) hold(addr netip.Addr) *held { return &held{memory: m, addr: addressKey(addr)} }

// grow makes it octets in all; false says that there is no room.
func (h *held) grow(octets int64) bool {
	m, more := h.memory, octets-h.octets
	m.mu.Lock()
	defer m.mu.Unlock()
	if more > m.free || m.of[h.addr]+more > m.share {
		return false
	}
	m.free -= more
	m.of[h.addr] += more
	h.octets = octets
	return true
}

// release gives it back. It may be called again.
func (h *held) release() {
	m := h.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free += h.octets
	if m.of[h.addr] -= h.octets; m.of[h.addr] == 0 {
		delete(m.of, h.addr)
	}
	h.octets = 0
}

// readAll reads r whole, at most longest octets. Errors: Unavailable (busy), and those
// of r.
func (h *held) readAll(r io.Reader, longest int64) ([]byte, error) {
	size := min(firstBody, longest)
	if !h.grow(size) {
		return nil, errNoMemory()
	}
	body := make([]byte, 0, size)
	for {
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
		if len(body) < cap(body) {
			continue
		}
		if size == longest {
			return body, atEnd(r)
		}
		size = min(4*size, longest)
		if !h.grow(size) {
			return nil, errNoMemory()
		}
		body = append(make([]byte, 0, size), body...)
	}
}

// atEnd reads the end of r, which may be a last error.
func atEnd(r io.Reader) error {
	var one [1]byte
	switch n, err := io.ReadFull(r, one[:]); {
	case n > 0:
		return io.ErrShortBuffer
	case err == io.EOF:
		return nil
	default:
		return err
	}
}

func errNoMemory() error {
	return vam.Errorf(vam.Unavailable, "this server is reading as many requests as it has memory for").
		WithProblem("busy").WithRetry(5 * time.Second)
}
