package daemon_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/daemon"
)

// TestOpenRefuses: whatever is wrong is known before anything is served, with the way out,
// and leaves nothing claimed.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node("a.test", "alice")
	dir := n.setup.Config.DataDir
	refused := func(kind vam.ErrorKind, texts ...string) {
		t.Helper()
		_, err := daemon.Open(t.Context(), n.options)
		wantKind(t, err, kind, texts...)
	}

	// Another server has the folder.
	n.start()
	refused(vam.Conflict, dir, "in use", strconv.Itoa(os.Getpid()))
	n.end()

	// Another process has a port: TCP, then UDP, then the one for metrics.
	pid := "pid " + strconv.Itoa(os.Getpid())
	ln, err := net.Listen("tcp", n.listen)
	must(t, err)
	refused(vam.Unavailable, n.listen+"/tcp is taken by", pid)
	_, err = daemon.Open(t.Context(), n.options)
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("the cause is lost: %v", err)
	}
	must(t, ln.Close())
	conn, err := net.ListenPacket("udp", n.listen)
	must(t, err)
	refused(vam.Unavailable, n.listen+"/udp is taken by", pid)
	must(t, conn.Close())
	ln, err = net.Listen("tcp", n.options.Config.Metrics.Listen)
	must(t, err)
	refused(vam.Unavailable, n.options.Config.Metrics.Listen+"/tcp is taken by", pid)
	must(t, ln.Close())
	listen := n.options.Config.Listen.TCP
	n.options.Config.Listen.TCP = []string{"192.0.2.1:1398"}
	refused(vam.Unavailable, "192.0.2.1:1398/tcp")
	n.options.Config.Listen.TCP = listen

	// Something is missing.
	hide := func(name string, kind vam.ErrorKind, texts ...string) {
		t.Helper()
		path := filepath.Join(dir, name)
		must(t, os.Rename(path, path+".away"))
		refused(kind, texts...)
		must(t, os.Rename(path+".away", path))
	}
	hide("keys/a.test/request-v1.pem", vam.NotFound, "request key", "vam init a.test")
	hide("keys/a.test/mail-m1.pem", vam.NotFound, "mail key", "vam init a.test")
	hide("tls/cert.pem", vam.NotFound, "cert.pem")
	hide("tls/key.pem", vam.NotFound, "key.pem")
	must(t, os.Rename(dir, dir+".away"))
	refused(vam.NotFound, dir, "vam init a.test")
	must(t, os.Rename(dir+".away", dir))

	// After all that nothing is held, and closing twice is no error.
	d, err := daemon.Open(t.Context(), n.options)
	must(t, err)
	must(t, d.Close())
	must(t, d.Close())
	n.start()
}
