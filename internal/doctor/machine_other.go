//go:build !linux

package doctor

import (
	"errors"
	"os"

	"github.com/videoactivmail/vam"
)

// ReadMachine knows nothing here: the checks are about Linux.
func ReadMachine() Machine { return Machine{} }

// ReadDataFolder looks at a data folder without writing to it.
func ReadDataFolder(path string, reserve vam.Bytes) DataFolder {
	d := DataFolder{Path: path, Reserve: reserve}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		d.Err = err
	case !info.IsDir():
		d.Err = errors.New("it is not a folder")
	default:
		d.Open = info.Mode().Perm()&0o077 != 0
	}
	return d
}
