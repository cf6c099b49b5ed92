// Command vambench measures the figures of vam side by side with what users would run
// instead and with the bare transports, as ratios in one run. bench/README.md says what
// each figure is.
//
//	vambench                        every figure
//	vambench -only transfer,wire    some of them
//	vambench -short                 smaller sizes, for a look
//
// It prints a table for each figure on standard output, progress on standard error,
// and writes latest.json and latest.md into bench/results. Its exit status says
// whether it could measure, not whether goals were met.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/bench/race"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) == 3 && os.Args[1] == idleServer {
		exit(peer.ServeIdle(ctx, os.Args[2], os.Stdin, os.Stdout))
	}
	exit(run(ctx, os.Args[1:]))
}

func exit(err error) {
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "vambench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// figure is one table, or several that share what they run on.
type figure struct {
	name, title string
	measure     func(context.Context, *bench) error
}

// figures in the order in which they are measured.
func figures() []figure {
	return []figure{
		{"transfer", "one large file between two domains", measureTransfer},
		{"delay", "50 ms round trip", measureDelay},
		{"loss", "50 ms round trip and 1 % loss", measureLoss},
		{"wire", "octets on the wire", measureWire},
		{"resume", "octets received twice after a cut", measureResume},
		{"again", "octets for media that are there already", measureAgain},
		{"first", "the first playable part", measureFirst},
		{"playable", "until a recording plays", measurePlayable},
		{"view", "packaging without a copy", measureView},
		{"poster", "posters of the corpus", measurePoster},
		{"page", "the watch page over a slow line", measurePage},
		{"static", "serving to browsers", measureStatic},
		{"viewers", "memory of many slow viewers", measureViewers},
		{"memory", "memory in a large transfer", measureMemory},
		{"idle", "memory of an idle connection", measureIdle},
		{"small", "many small messages", measureSmall},
	}
}

func run(ctx context.Context, args []string) error {
	b := &bench{log: os.Stderr, when: time.Now(), machine: race.Here()}
	flags := flag.NewFlagSet("vambench", flag.ContinueOnError)
	only := flags.String("only", "", "comma-separated figures; all when empty: "+names())
	flags.StringVar(&b.rows, "rows", "", "only contestants whose name contains this, for a closer look; nothing is written then")
	flags.BoolVar(&b.short, "short", false, "smaller sizes")
	flags.IntVar(&b.runs, "runs", 0, "rounds of each comparison; 0 is 5, or 3 with -short")
	flags.StringVar(&b.congestion, "congestion", "", "congestion control of TCP on both sides, except in the figure loss; bbr where the kernel has it, else its default")
	flags.StringVar(&b.program, "vam", "", "the program; built from this checkout when empty")
	flags.StringVar(&b.scratchIn, "scratch", "", "folder for data; its disk is what is measured. The system's temporary folder when empty")
	flags.StringVar(&b.results, "results", "bench/results", "folder of the results; none are written when empty")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	b.options = strings.TrimSpace("vambench " + strings.Join(args, " "))
	if err := b.open(ctx); err != nil {
		return errors.Join(err, b.close())
	}
	for _, f := range chosen {
		fmt.Fprintf(b.log, "== %s: %s\n", f.name, f.title)
		if err := f.measure(ctx, b); err != nil {
			if ctx.Err() != nil {
				return errors.Join(ctx.Err(), b.close())
			}
			fmt.Fprintf(b.log, "%s: %v\n", f.name, err)
			b.failed = append(b.failed, f.name)
		}
		if err := b.save(); err != nil {
			return errors.Join(err, b.close())
		}
	}
	return errors.Join(b.report(), b.close())
}

func names() string {
	var out []string
	for _, f := range figures() {
		out = append(out, f.name)
	}
	return strings.Join(out, ",")
}

// choose returns the named figures in their own order.
func choose(only string) ([]figure, error) {
	all := figures()
	if only == "" {
		return all, nil
	}
	want := strings.Split(only, ",")
	for _, w := range want {
		if !slices.ContainsFunc(all, func(f figure) bool { return f.name == w }) {
			return nil, fmt.Errorf("there is no figure %q: %s", w, names())
		}
	}
	return slices.DeleteFunc(all, func(f figure) bool { return !slices.Contains(want, f.name) }), nil
}
