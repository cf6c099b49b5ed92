//go:build !linux

package main

import "github.com/videoactivmail/vam"

// settle does nothing where the system has no call for it.
func settle(vam.Bytes) {}
