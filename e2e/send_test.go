package e2e_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/e2e/harness"
	"github.com/videoactivmail/vam/internal/loopback"
	"github.com/videoactivmail/vam/internal/netem"
	"github.com/videoactivmail/vam/internal/userwire"
)

// TestSend sends files of all kinds over each transport: they arrive byte for byte, the
// sender is told, and little more than the media is on the wire.
func TestSend(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"tcp", "udp", "auto"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			env := []string{"VAM_TRANSPORT_PREFER=" + transport}
			p := newPair(t, harness.Options{Env: env}, harness.Options{Env: env})
			for _, f := range []struct {
				name    string
				content []byte
			}{
				{"bbb-480p-30s.mp4", harness.Media(t, "bbb-480p-30s.mp4")},
				{"sample_mdat_too_long.mp4", harness.Media(t, "sample_mdat_too_long.mp4")},
				{"empty", nil},
				{"one octet", []byte("x")},
				{"a part and an octet", harness.Content(1, 1<<20+1)},
				{"no video, \"quoted\" ../ñ 视频.txt", []byte("it is delivered as a file\n")},
			} {
				before := p.b.Metrics().Wire()
				d := harness.DraftTo(p.bob.Addr)
				d.Name, d.Subject, d.Kind = f.name, f.name, "video"
				m := p.alice.Send(d, f.content)
				if m.SHA256 != harness.Sum(f.content) || m.Bytes != int64(len(f.content)) {
					t.Errorf("%s: accepted as %d octets, SHA-256 %s", f.name, m.Bytes, m.SHA256)
				}
				p.alice.AwaitRecipient(m.ID, p.bob.Addr, vam.Stored)
				wire := p.b.Metrics().Wire() - before // nobody at b.test has asked it for anything
				if size := int64(len(f.content)); size >= 1<<20 && wire > size+size/100 {
					t.Errorf("%s: %d octets on the wire for %d of media, more than 1.01", f.name, wire, size)
				}
				p.bob.Holds(p.a.Domain, m.ID, f.content)
				if e := p.bob.AwaitStored(p.a.Domain, m.ID); e.Name != wantName(f.name) || e.From != p.alice.Addr.String() || e.Subject != f.name {
					t.Errorf("%s: the entry is %+v", f.name, e)
				}
			}
			p.a.Check()
			p.b.Check()
		})
	}
}

// wantName is what is left of a file name on the way: its last element.
func wantName(sent string) string {
	if sent == "no video, \"quoted\" ../ñ 视频.txt" {
		return "ñ 视频.txt"
	}
	return sent
}

// TestReadWhileItArrives reads a message from several places while a slow link still
// brings it.
func TestReadWhileItArrives(t *testing.T) {
	t.Parallel()
	p := newPair(t, harness.Options{Links: true, Env: []string{"VAM_TRANSPORT_PREFER=tcp"}}, harness.Options{Env: []string{"VAM_TRANSPORT_PREFER=tcp"}})
	content := harness.Content(2, 6<<20)
	slow := netem.Shape{Rate: 2 * vam.MiB, Queue: 64 * vam.KiB}
	p.a.TCP.SetShape(netem.ToClient, slow)
	m := p.alice.SendTo(content, p.bob)
	p.bob.AwaitEntry("the first octets are there", p.a.Domain, m.ID, func(e userwire.Entry) bool { return e.Available > 0 })

	read := func(from int64, n int) (got []byte, arriving bool) {
		body, _, err := p.bob.Client(harness.Patience).Media(t.Context(), p.a.Domain, m.ID, from)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		got = make([]byte, n)
		if _, err := io.ReadFull(body, got); err != nil {
			t.Fatalf("reading %d octets at %d: %v", n, from, err)
		}
		e, err := p.bob.Client(harness.Patience).Entry(t.Context(), p.a.Domain, m.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got, e.State == "arriving"
	}
	for _, at := range []struct {
		from int64
		n    int
	}{{0, 1 << 20}, {1<<20 - 7, 1000}, {5<<20 + 3, 100}} {
		got, arriving := read(at.from, at.n)
		if !bytes.Equal(got, content[at.from:][:at.n]) {
			t.Errorf("the %d octets at %d are not those that were sent", at.n, at.from)
		}
		if at.from == 0 && !arriving {
			t.Error("the first MiB was readable only when all had arrived")
		}
	}
	p.a.TCP.SetShape(netem.ToClient, netem.Shape{})
	p.bob.Holds(p.a.Domain, m.ID, content)
}

// TestIPv6 sends over the one loopback address of IPv6.
func TestIPv6(t *testing.T) {
	t.Parallel()
	options := func() harness.Options {
		addr, err := loopback.Free(loopback6)
		if err != nil {
			t.Skipf("this machine has no IPv6: %v", err)
		}
		return harness.Options{Addr: addr, Allow: []string{"::1/128"}}
	}
	a, b := options(), options()
	for _, transport := range []string{"tcp", "udp"} {
		t.Run(transport, func(t *testing.T) {
			a.Env = []string{"VAM_TRANSPORT_PREFER=" + transport}
			b.Env = a.Env
			p := newPair(t, a, b)
			content := harness.Content(3, 300_000)
			m := p.alice.SendTo(content, p.bob)
			p.alice.AwaitRecipient(m.ID, p.bob.Addr, vam.Stored)
			p.bob.Holds(p.a.Domain, m.ID, content)
		})
	}
}

// TestCommandLine goes the way of the README: a user's commands, and their exit status.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	p := newPair(t, harness.Options{}, harness.Options{})
	file := writeFile(t, "holiday.mp4", harness.Media(t, "bbb-480p-30s.mp4"))
	r := p.alice.Run("send", file, p.bob.Addr.String(), "--wait", "--json")
	if r.Code != 0 {
		t.Fatalf("send ended with %d: %s%s", r.Code, r.Out, r.Err)
	}
	m := decode[userwire.Message](t, r.Out)
	if len(m.Recipients) != 1 || m.Recipients[0].State != vam.Stored {
		t.Errorf("after --wait the recipients are %+v", m.Recipients)
	}
	saved := file + ".saved"
	if r := p.bob.Run("get", string(m.ID), "-o", saved); r.Code != 0 {
		t.Fatalf("get ended with %d: %s%s", r.Code, r.Out, r.Err)
	}
	if !bytes.Equal(readFile(t, saved), readFile(t, file)) {
		t.Error("what get saved is not what was sent")
	}
	r = p.alice.Run("send", file, "nobody@b.test", "--wait", "--json")
	if r.Code != 69 {
		t.Errorf("a send to nobody ended with %d, 69 (no such recipient) is right: %s%s", r.Code, r.Out, r.Err)
	}
	r = p.alice.Run("send", file+".is-not-there", p.bob.Addr.String())
	if r.Code != 66 {
		t.Errorf("a send of no file ended with %d, 66 is right: %s", r.Code, r.Err)
	}
}

// TestTry runs `vam try --send` over each transport.
func TestTry(t *testing.T) {
	t.Parallel()
	w := harness.New(t, &plain)
	file := writeFile(t, "clip.mp4", harness.Media(t, "bbb-480p-30s.mp4"))
	for _, transport := range []string{"tcp", "udp", "auto"} {
		addr, err := loopback.Free(loopback4)
		if err != nil {
			t.Fatal(err)
		}
		r := w.Run("try", "--port", portOf(addr), "--send", file, "--transport", transport, "--json")
		if r.Code != 0 {
			t.Fatalf("try over %s ended with %d: %s%s", transport, r.Code, r.Out, r.Err)
		}
		got := decode[struct {
			Transport  string
			MediaBytes int64  `json:"media_bytes"`
			WireBytes  int64  `json:"wire_bytes"`
			Sent       string `json:"sha256_sent"`
			Stored     string `json:"sha256_stored"`
			Equal      bool
		}](t, r.Out)
		if !got.Equal || got.Sent != got.Stored || got.MediaBytes == 0 || got.WireBytes*100 > got.MediaBytes*101 {
			t.Errorf("try over %s: %+v", transport, got)
		}
		if transport != "auto" && got.Transport != transport {
			t.Errorf("try over %s used %s", transport, got.Transport)
		}
	}
}
