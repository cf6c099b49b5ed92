package config

import (
	"os"
	"path/filepath"
)

// FileName is the configuration file inside a data folder.
const FileName = "vam.toml"

const systemFile = "/etc/vam/" + FileName

// Place is where a server's file is looked for, and where `vam init` makes it.
type Place struct {
	// File and DataDir are what the command line says; empty for nothing.
	File, DataDir string
	// Getenv is os.Getenv or a test's.
	Getenv func(string) string
	// UID is the user that runs the program; 0 is root.
	UID int
}

// Path returns the configuration file: File, VAM_CONFIG, vam.toml in DataDir or
// VAM_DATA_DIR, /etc/vam/vam.toml where it exists, vam.toml in DefaultDataDir.
// The file need not exist.
func (p Place) Path() string {
	if p.File != "" {
		return p.File
	}
	if f := p.Getenv(EnvPrefix + "CONFIG"); f != "" {
		return f
	}
	if p.DataDir != "" {
		return filepath.Join(p.DataDir, FileName)
	}
	if d := p.Getenv(EnvPrefix + "DATA_DIR"); d != "" {
		return filepath.Join(d, FileName)
	}
	if _, err := os.Stat(systemFile); err == nil {
		return systemFile
	}
	return filepath.Join(p.DefaultDataDir(), FileName)
}

const systemData = "/var/lib/vam"

// DefaultDataDir is where a new server's data goes when nobody says: /var/lib/vam
// for root and for a user without a home, otherwise the user's data folder of the XDG
// base directory specification.
func (p Place) DefaultDataDir() string {
	if p.UID == 0 {
		return systemData
	}
	if d := p.Getenv("XDG_DATA_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "vam")
	}
	if h := p.Getenv("HOME"); filepath.IsAbs(h) {
		return filepath.Join(h, ".local", "share", "vam")
	}
	return systemData
}
