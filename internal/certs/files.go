package certs

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"

	"github.com/videoactivmail/vam"
)

// Pool returns the system's trusted authorities and those in the PEM files. Errors:
// Invalid for a file without certificate, NotFound, Unavailable.
func Pool(files ...string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, vam.Wrap(vam.Unavailable, err, "the system's trusted authorities cannot be read")
	}
	for _, name := range files {
		b, err := readFile(name)
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(b) {
			return nil, vam.Errorf(vam.Invalid, "%s holds no certificate", name)
		}
	}
	return pool, nil
}

// writeFile replaces name in one step, durably.
func writeFile(name string, b []byte, mode os.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(name))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
