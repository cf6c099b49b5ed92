package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/userwire"
)

// outbox remembers the id of an upload under way, so that the same command goes on
// with it.
type outbox struct {
	id   vam.MessageID
	old  bool // it was begun before
	path string
}

// outbox finds the upload of the same file to the same people, or begins one.
func (e *env) outbox(me profileAccount, file string, info os.FileInfo, d userwire.Draft) (*outbox, error) {
	full, err := filepath.Abs(file)
	if err != nil {
		return nil, fileError(err, file)
	}
	d.DeliverBy, d.Expires = time.Time{}, time.Time{} // relative to now
	key, err := json.Marshal([]any{me.Server, me.Address.String(), sha256.Sum256([]byte(me.Token)), full, info.Size(), info.ModTime().UnixNano(), d})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(key)
	b := &outbox{id: vam.NewMessageID(time.Now()), path: filepath.Join(e.stateDir(), "outbox", hex.EncodeToString(sum[:16]))}
	if text, err := os.ReadFile(b.path); err == nil {
		if id, err := vam.ParseMessageID(string(text)); err == nil {
			b.id, b.old = id, true
			return b, nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(b.path), 0o700); err != nil {
		e.note("a broken upload will begin anew: %s", err)
		return b, nil
	}
	if err := os.WriteFile(b.path, []byte(b.id), 0o600); err != nil {
		e.note("a broken upload will begin anew: %s", err)
	}
	return b, nil
}

// forget ends it: the message was accepted, or never will be.
func (b *outbox) forget() { _ = os.Remove(b.path) }

// stateDir is the user's folder for state (XDG base directory specification).
func (e *env) stateDir() string {
	if d := e.getenv("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "vam")
	}
	return filepath.Join(e.getenv("HOME"), ".local", "state", "vam")
}
