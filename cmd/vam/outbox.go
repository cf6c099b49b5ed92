package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/userwire"
)

// outbox remembers the id of an upload under way, so that the same command goes on
// with it. Close it.
type outbox struct {
	id   vam.MessageID
	old  bool     // it was begun before
	file *os.File // holds the id, and the lock on it; nil when nothing is remembered
}

// outbox finds the upload of the same file to the same people, or begins one. Another
// command that is sending just that has the remembered one; this one is another message.
func (e *env) outbox(me profileAccount, file string, info os.FileInfo, d userwire.Draft) *outbox {
	b := &outbox{id: vam.NewMessageID(time.Now())}
	path, err := e.outboxPath(me, file, info, d)
	if err == nil {
		err = b.open(path)
	}
	if err != nil {
		e.note("a broken upload will begin anew: %s", safe(err.Error()))
	}
	return b
}

func (e *env) outboxPath(me profileAccount, file string, info os.FileInfo, d userwire.Draft) (string, error) {
	full, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	state, err := e.stateDir()
	if err != nil {
		return "", err
	}
	d.DeliverBy, d.Expires = time.Time{}, time.Time{} // relative to now
	key, err := json.Marshal([]any{me.Server, me.Address.String(), sha256.Sum256([]byte(me.Token)), []byte(full), info.Size(), info.ModTime().UnixNano(), d})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(key)
	return filepath.Join(state, "outbox", hex.EncodeToString(sum[:16])), nil
}

func (b *outbox) open(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if !lockFile(f) {
		return f.Close()
	}
	// The holder of the lock before may have removed the file after it was opened here.
	if there, err := os.Stat(path); err != nil || !sameFile(f, there) {
		return f.Close()
	}
	text, err := io.ReadAll(io.LimitReader(f, 64))
	if id, perr := vam.ParseMessageID(string(text)); err == nil && perr == nil {
		b.id, b.old = id, true
	} else {
		_, werr := f.WriteAt([]byte(b.id), 0)
		err = errors.Join(f.Truncate(int64(len(b.id))), werr, f.Sync())
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	b.file = f
	return nil
}

// lockFile claims f for this process until it is closed; false when another has it.
func lockFile(f *os.File) bool {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			return !errors.Is(err, unix.EWOULDBLOCK) // a file system without locks has none to respect
		}
	}
}

func sameFile(f *os.File, there os.FileInfo) bool {
	info, err := f.Stat()
	return err == nil && os.SameFile(info, there)
}

// forget ends it: the message was accepted, or never will be.
func (b *outbox) forget() {
	if b.file != nil {
		_ = os.Remove(b.file.Name())
	}
}

// Close gives the lock back; what was not forgotten goes on with the next command.
func (b *outbox) Close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}

// stateDir is the user's folder for state (XDG base directory specification).
func (e *env) stateDir() (string, error) {
	if d := e.getenv("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "vam"), nil
	}
	home, err := e.home()
	return filepath.Join(home, ".local", "state", "vam"), err
}
