package main

import "golang.org/x/sys/unix"

func flushDisk() { unix.Sync() }
