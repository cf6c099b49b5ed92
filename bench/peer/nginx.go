package peer

import (
	"bytes"
	"context"
	"crypto/tls"
	_ "embed"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
	"time"
)

//go:embed nginx.conf.tmpl
var nginxConf string

// Nginx is a running nginx that serves one file over TLS 1.3, with a configuration, a
// folder and a port of its own. It is given its listening socket, so
// that its connections have the congestion control of the track.
type Nginx struct {
	addr  string
	dir   string
	cert  string
	trust *tls.Config
	file  File
	track *Track
	proc  *process
}

// StartNginx serves file over HTTP/1.1 on the server's side of t until Stop; scratch is
// where it makes its folder. Errors: ErrMissing.
func StartNginx(ctx context.Context, t *Track, file File, scratch string) (*Nginx, error) {
	return startNginx(ctx, t, file, scratch, false)
}

// StartSite is StartNginx with HTTP/2 for whoever asks for it, as a site has it: with the
// page NginxPage, which is a title and a player with NginxFile.
func StartSite(ctx context.Context, t *Track, file File, scratch string) (*Nginx, error) {
	return startNginx(ctx, t, file, scratch, true)
}

// The paths of a site.
const (
	NginxPage = "/index.html"
	NginxFile = "/file.mp4"
)

// barePage is the least that shows a video.
const barePage = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>A video</title>
<h1>A video</h1>
<video id="player" controls playsinline preload="metadata" src="file.mp4"></video>
`

func startNginx(ctx context.Context, t *Track, file File, scratch string, http2 bool) (*Nginx, error) {
	bin, err := find("nginx")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(scratch, "nginx-*")
	if err != nil {
		return nil, err
	}
	n := &Nginx{dir: dir, file: file, track: t}
	if err := n.start(ctx, bin, http2); err != nil {
		n.Stop()
		return nil, err
	}
	return n, nil
}

func (n *Nginx) start(ctx context.Context, bin string, http2 bool) error {
	id, err := newIdentity()
	if err != nil {
		return err
	}
	var key string
	if n.cert, key, err = id.write(n.dir); err != nil {
		return err
	}
	n.trust = id.client()
	root := filepath.Join(n.dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"file", NginxFile} {
		if err := os.Symlink(n.file.Path, filepath.Join(root, name)); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(root, NginxPage), []byte(barePage), 0o644); err != nil {
		return err
	}
	l, err := n.track.Listen(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	n.addr = l.Addr().String()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer func() { _ = socket.Close() }()
	conf, err := render(nginxConf, map[string]any{"Addr": n.addr, "Dir": n.dir, "Cert": n.cert, "Key": key, "Root": os.Geteuid() == 0, "HTTP2": http2})
	if err != nil {
		return err
	}
	path := filepath.Join(n.dir, "nginx.conf")
	if err := os.WriteFile(path, conf, 0o644); err != nil {
		return err
	}
	cmd := exec.Command(bin, "-p", n.dir, "-c", path, "-e", "stderr")
	// How nginx hands listening sockets to its successor: descriptors by number.
	cmd.ExtraFiles, cmd.Env = []*os.File{socket}, append(os.Environ(), "NGINX=3;")
	if n.proc, err = startProcess(cmd, n.track.startServer); err != nil {
		return err
	}
	// Its socket is open already: only a handshake shows that it is there.
	return n.proc.until(ctx, func() bool { return shakesHands(ctx, n.track, n.addr, id) })
}

// Endpoint is how a client reaches it: the name in its certificate, its address, and
// whom to trust.
func (n *Nginx) Endpoint() (host string, addr netip.AddrPort, trust *tls.Config) {
	return serverName, netip.MustParseAddrPort(n.addr), n.trust
}

// URL is that of a path, for a browser, by address.
func (n *Nginx) URL(path string) string { return "https://" + n.addr + path }

// Pid is its first process; those that answer are its children.
func (n *Nginx) Pid() int { return n.proc.cmd.Process.Pid }

// Stop ends the server and removes its folder.
func (n *Nginx) Stop() {
	if n.proc != nil {
		n.proc.stop()
	}
	_ = os.RemoveAll(n.dir)
}

// Curl fetches the file once with curl(1) into dir. Nothing is hashed or synced.
func (n *Nginx) Curl(ctx context.Context, dir string) (Transfer, error) {
	bin, err := find("curl")
	if err != nil {
		return Transfer{}, err
	}
	to, err := os.MkdirTemp(dir, "curl-*")
	if err != nil {
		return Transfer{}, err
	}
	defer func() { _ = os.RemoveAll(to) }()
	path := filepath.Join(to, "file")
	out, err := n.track.timed("tcp", n.addr, n.file, func(addr string) error {
		p, err := startProcess(exec.Command(bin, "--silent", "--show-error", "--fail", "--cacert", n.cert, "--output", path, "https://"+addr+"/file"), n.track.startClient)
		if err != nil {
			return err
		}
		return p.wait(ctx)
	})
	if err != nil {
		return Transfer{}, err
	}
	return out, checkFile(path, n.file)
}

// freePort returns an address on the server's side that was free a moment ago, for
// programs that cannot choose one themselves.
func freePort(ctx context.Context, t *Track) (string, error) {
	l, err := t.Listen(ctx)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// answers reports whether something accepts connections at addr.
func answers(ctx context.Context, t *Track, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c, err := t.Dial(ctx, addr)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// shakesHands reports whether TLS is spoken at addr.
func shakesHands(ctx context.Context, t *Track, addr string, id *identity) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c, err := t.Dial(ctx, addr)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	return tls.Client(c, id.client()).HandshakeContext(ctx) == nil
}

func render(text string, values any) ([]byte, error) {
	t, err := template.New("").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, values); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
