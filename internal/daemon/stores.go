package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/discovery"
	"github.com/videoactivmail/vam/internal/keyring"
	"github.com/videoactivmail/vam/internal/localblob"
	"github.com/videoactivmail/vam/internal/sqlite"
)

// Database is the file name of the database in the data folder.
const Database = "vam.db"

// openStores claims the data folder and opens database and media.
func (d *Daemon) openStores(ctx context.Context) error {
	dir := d.o.Config.DataDir
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return vam.Errorf(vam.NotFound, "the data folder %s does not exist; `vam init %s` makes it", dir, d.o.Config.Domain)
	}
	lock, err := localblob.Lock(dir)
	if err != nil {
		if vam.KindOf(err) != vam.Conflict {
			err = vam.Wrap(vam.KindOf(err), err, "the data folder %s cannot be used", dir)
		}
		return err
	}
	d.onClose(lock.Close)
	if d.db, err = sqlite.Open(ctx, filepath.Join(dir, Database), sqlite.Options{OnFail: d.storeFailed, Now: d.o.Now}); err != nil {
		return err
	}
	d.onClose(d.db.Close)
	reserve := d.o.Config.Limits.Reserve
	if reserve == 0 {
		reserve = -1
	}
	blobs, err := localblob.Open(dir, localblob.Options{Reserve: reserve, OnFail: d.storeFailed, Now: d.o.Now})
	if err != nil {
		return err
	}
	d.blobs = blobs
	d.onClose(blobs.Close)
	return nil
}

// openIdentity loads the keys and certificates of every domain.
func (d *Daemon) openIdentity(context.Context) error {
	var errs []error
	for _, domain := range d.o.Config.Domains {
		k, err := keyring.Load(d.o.Config.DataDir, domain.Name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d.keys[domain.Name] = k
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	store, err := certs.Open(pairs(d.o.Config), d.o.Now)
	if err != nil {
		return err
	}
	d.certs = store
	for _, domain := range d.o.Config.Domains {
		if store.Covers(domain.Name.String()) != nil && store.Covers(domain.Hostname) != nil && store.Covers(discovery.SRVID(domain.Name)) != nil {
			d.log.Warn("no certificate is for this domain or its host: other servers will refuse it", "domain", domain.Name, "reason", store.Covers(domain.Name.String()))
		}
	}
	return nil
}

// pairs are the certificate files in use, each once.
func pairs(c config.Config) []certs.Pair {
	var out []certs.Pair
	seen := map[config.TLS]bool{}
	for _, d := range c.Domains {
		if !seen[d.TLS] {
			seen[d.TLS] = true
			out = append(out, certs.Pair{Cert: d.TLS.Cert, Key: d.TLS.Key})
		}
	}
	return out
}

// recover removes what a crash left behind and frees the jobs of the process that is
// gone: the lock on the data folder says that it is.
func (d *Daemon) recover(ctx context.Context) error {
	if err := d.retention.Recover(ctx); err != nil {
		return err
	}
	return d.db.Queue().Release(ctx, "")
}

// resetKey is the secret that makes stateless resets recognisable after a restart.
func resetKey(dataDir string) (*[32]byte, error) {
	path := filepath.Join(dataDir, keyring.Folder, "quic-reset")
	var key [32]byte
	f, err := os.OpenFile(path, os.O_RDONLY, 0)
	if err == nil {
		_, err = io.ReadFull(f, key[:])
		if err := errors.Join(err, f.Close()); err == nil {
			return &key, nil
		}
	}
	// A fresh one costs peers a time-out after this restart, nothing more.
	_, _ = rand.Read(key[:])
	return &key, os.WriteFile(path, key[:], 0o600)
}
