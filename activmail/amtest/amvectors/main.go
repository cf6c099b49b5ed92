// Command amvectors puts the test vectors of spec/vectors to an implementation of VAM/1
// in any language, through its standard input and output, and serves the implementation
// of this module in the same way. The line protocol is described in
// spec/vectors/README.md.
//
//	amvectors run [--dir DIR] [--class CLASS,…] [--verbose] PROGRAM [ARGUMENT…]
//	amvectors serve
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"

	"github.com/videoactivmail/vam/activmail/amtest"
)

// Exit codes; usage is that of sysexits.
const (
	exitOK    = 0
	exitFail  = 1
	exitUsage = 64
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(command(ctx, os.Args[1:]))
}

func command(ctx context.Context, args []string) int {
	switch {
	case len(args) > 0 && args[0] == "run":
		return runVectors(ctx, args[1:])
	case len(args) == 1 && args[0] == "serve":
		if err := amtest.ServeVectors(ctx, os.Stdin, os.Stdout, amtest.Reference{}); err != nil {
			fmt.Fprintln(os.Stderr, "amvectors:", err)
			return exitFail
		}
		return exitOK
	}
	return usage("amvectors serve, or amvectors run PROGRAM")
}

func usage(text string) int {
	fmt.Fprintln(os.Stderr, "usage:", text)
	return exitUsage
}

func runVectors(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("amvectors run", flag.ContinueOnError)
	dir := flags.String("dir", "spec/vectors", "folder of the vectors")
	class := flags.String("class", "", "only cases that one of these classes must pass: peer, origin, recipient, reader")
	verbose := flags.Bool("verbose", false, "name the cases that passed and were skipped too")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	if flags.NArg() == 0 {
		return usage("amvectors run [--dir DIR] [--class CLASS,…] [--verbose] PROGRAM [ARGUMENT…]")
	}
	var classes []string
	if *class != "" {
		classes = strings.Split(*class, ",")
	}
	var outcomes []amtest.Outcome
	err := withProgram(ctx, flags.Args(), func(subject amtest.Subject) (err error) {
		outcomes, err = amtest.RunVectors(ctx, os.DirFS(*dir), subject, classes...)
		return err
	})
	failed := report(os.Stdout, outcomes, *verbose)
	if err != nil {
		fmt.Fprintln(os.Stderr, "amvectors:", err)
	}
	if err != nil || failed > 0 {
		return exitFail
	}
	return exitOK
}

// withProgram starts an implementation, lets f talk to it and ends it. One that does not
// end by itself when its input ends is killed.
func withProgram(ctx context.Context, argv []string, f func(amtest.Subject) error) error {
	const patience = 5 * time.Second
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	program := exec.CommandContext(ctx, argv[0], argv[1:]...)
	program.Stderr, program.WaitDelay = os.Stderr, patience
	in, err := program.StdinPipe()
	if err != nil {
		return err
	}
	out, err := program.StdoutPipe()
	if err != nil {
		return err
	}
	if err := program.Start(); err != nil {
		return err
	}
	err = f(amtest.NewPipe(out, in))
	_ = in.Close() // it may be gone already
	if err != nil {
		cancel()
		_ = program.Wait() // f knows better what is wrong
		return err
	}
	timer := time.AfterFunc(patience, cancel)
	defer timer.Stop()
	if _, err := io.Copy(io.Discard, out); err != nil {
		return err
	}
	if err := program.Wait(); err != nil {
		return fmt.Errorf("%s did not end well: %w", argv[0], errors.Join(ctx.Err(), err))
	}
	return nil
}

// report writes what came of each case that is worth a line and the count, and returns
// the number of failures.
func report(w io.Writer, outcomes []amtest.Outcome, verbose bool) int {
	passed, skipped, failed := 0, 0, 0
	for _, o := range outcomes {
		word := "pass"
		switch {
		case o.Skipped:
			word = "skip"
			skipped++
		case o.Failure != "":
			word = "FAIL"
			failed++
		default:
			passed++
		}
		if verbose || o.Failure != "" {
			line := fmt.Sprintf("%s %s: %s (%s, %s)", word, o.File, o.Name, o.Op, strings.Join(o.Rules, " "))
			if o.Failure != "" {
				line += ": " + o.Failure
			}
			fmt.Fprintln(w, line)
		}
	}
	fmt.Fprintf(w, "%d passed, %d skipped, %d failed\n", passed, skipped, failed)
	return failed
}
