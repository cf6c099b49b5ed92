// Command vam is a video mail server and the program of the people who use and
// run it: one file for each subcommand.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/videoactivmail/vam/internal/sandbox"
)

func main() {
	// First of all: a program that is to be confined starts as this one.
	confined := sandbox.Main()
	os.Exit(program(confined))
}

// program runs one command line in the real world.
func program(confined sandbox.Launcher) int {
	// A reader that went away is an error of the write, not the end of a program that
	// still has to clean up.
	signal.Ignore(syscall.SIGPIPE)
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup(1) does
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	e := system()
	e.sandbox = confined
	return run(ctx, e, os.Args[1:])
}
