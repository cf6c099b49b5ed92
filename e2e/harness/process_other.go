//go:build !linux

package harness

import "os/exec"

func dieWithUs(*exec.Cmd) {}
