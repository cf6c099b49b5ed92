package peer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Tusd is a running tusd, the server of the tus resumable upload protocol, with TLS
// 1.3 and HTTP/1.1. Its file store neither hashes nor syncs.
type Tusd struct {
	addr  string
	dir   string
	id    *identity
	track *Track
	proc  *process
}

// StartTusd builds the module in source, the folder bench/tusd, and runs it on the
// server's side of t until Stop; scratch is where it makes its folder. Errors:
// ErrMissing without a Go toolchain.
func StartTusd(ctx context.Context, t *Track, source, scratch string) (*Tusd, error) {
	gobin, err := find("go")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(scratch, "tusd-*")
	if err != nil {
		return nil, err
	}
	u := &Tusd{dir: dir, track: t}
	if err := u.start(ctx, gobin, source); err != nil {
		u.Stop()
		return nil, err
	}
	return u, nil
}

func (u *Tusd) start(ctx context.Context, gobin, source string) error {
	bin := filepath.Join(u.dir, "tusd")
	build := exec.CommandContext(ctx, gobin, "build", "-o", bin, ".")
	build.Dir = source
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building tusd: %w\n%s", err, out)
	}
	var err error
	if u.id, err = newIdentity(); err != nil {
		return err
	}
	cert, key, err := u.id.write(u.dir)
	if err != nil {
		return err
	}
	if err := os.Mkdir(u.store(), 0o755); err != nil {
		return err
	}
	if u.addr, err = freePort(ctx, u.track); err != nil {
		return err
	}
	cmd := exec.Command(bin, "-listen", u.addr, "-dir", u.store(), "-cert", cert, "-key", key)
	if u.proc, err = startProcess(cmd, u.track.startServer); err != nil {
		return err
	}
	return u.proc.until(ctx, func() bool { return answers(ctx, u.track, u.addr) })
}

func (u *Tusd) store() string { return filepath.Join(u.dir, "store") }

// Stop ends the server and removes its folder.
func (u *Tusd) Stop() {
	if u.proc != nil {
		u.proc.stop()
	}
	_ = os.RemoveAll(u.dir)
}

// Upload sends file with one POST that makes the upload and one PATCH that carries
// all of it.
func (u *Tusd) Upload(ctx context.Context, file File) (Transfer, error) {
	var h1 http.Protocols
	h1.SetHTTP1(true)
	rt := &http.Transport{
		TLSClientConfig: u.id.client(),
		Protocols:       &h1,
		WriteBufferSize: copyBuffer,
		DialContext:     func(ctx context.Context, _, addr string) (net.Conn, error) { return u.track.Dial(ctx, addr) },
	}
	defer rt.CloseIdleConnections()
	var name string
	out, err := u.track.timed("tcp", u.addr, file, func(addr string) (err error) {
		name, err = upload(ctx, rt, addr, file)
		return err
	})
	if err != nil {
		return Transfer{}, err
	}
	stored := filepath.Join(u.store(), name)
	return out, errors.Join(checkFile(stored, file), os.Remove(stored), os.Remove(stored+".info"))
}

// upload returns the id that the server gave.
func upload(ctx context.Context, rt http.RoundTripper, addr string, file File) (string, error) {
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+addr+"/files/", nil)
	if err != nil {
		return "", err
	}
	post.Header.Set("Tus-Resumable", "1.0.0")
	post.Header.Set("Upload-Length", fmt.Sprint(file.Size))
	res, err := roundTrip(rt, post, http.StatusCreated)
	if err != nil {
		return "", err
	}
	name := res.Header.Get("Location")
	name = name[strings.LastIndex(name, "/")+1:]

	f, err := os.Open(file.Path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	body := io.NopCloser(bufio.NewReaderSize(f, copyBuffer))
	patch, err := http.NewRequestWithContext(ctx, http.MethodPatch, "https://"+addr+"/files/"+name, body)
	if err != nil {
		return "", err
	}
	patch.ContentLength = file.Size
	patch.Header.Set("Tus-Resumable", "1.0.0")
	patch.Header.Set("Upload-Offset", "0")
	patch.Header.Set("Content-Type", "application/offset+octet-stream")
	_, err = roundTrip(rt, patch, http.StatusNoContent)
	return name, err
}

// roundTrip makes one request whose answer has no body of interest.
func roundTrip(rt http.RoundTripper, req *http.Request, want int) (*http.Response, error) {
	res, err := rt.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	err = errors.Join(err, res.Body.Close())
	if err == nil && res.StatusCode != want {
		err = fmt.Errorf("%s %s: %s %s", req.Method, req.URL.Path, res.Status, text)
	}
	return res, err
}
