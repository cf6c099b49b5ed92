package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// cli is the command line: the flags of every command and the commands.
type cli struct {
	globals `group:"Flags of every command:"`

	Send    sendCmd    `cmd:"" group:"For everybody:" help:"Send a video, or any file, to an address."`
	Inbox   inboxCmd   `cmd:"" group:"For everybody:" help:"List what has come in, or was sent."`
	Show    showCmd    `cmd:"" group:"For everybody:" help:"Show one message and where it stands."`
	Get     getCmd     `cmd:"" group:"For everybody:" help:"Save the file of a message, also while it still arrives."`
	Link    linkCmd    `cmd:"" group:"For everybody:" help:"Make a link that opens a message in a browser."`
	Probe   probeCmd   `cmd:"" group:"For everybody:" help:"Say what a server would do with a recording."`
	Accept  acceptCmd  `cmd:"" group:"For everybody:" help:"Take a message that is held."`
	Decline declineCmd `cmd:"" group:"For everybody:" help:"Refuse a message that is held."`
	Revoke  revokeCmd  `cmd:"" group:"For everybody:" help:"Take a sent message back."`
	Delete  deleteCmd  `cmd:"" group:"For everybody:" help:"Remove a message from your mailbox."`
	Contact contactCmd `cmd:"" group:"For everybody:" help:"List, add, block and remove contacts."`
	Login   loginCmd   `cmd:"" group:"For everybody:" help:"Set an account up on this machine."`

	Try     tryCmd     `cmd:"" group:"For administrators:" help:"Two domains on this machine, to play with."`
	Init    initCmd    `cmd:"" group:"For administrators:" help:"Make a server for a domain; prints its DNS records."`
	Serve   serveCmd   `cmd:"" group:"For administrators:" help:"Run the server."`
	Account accountCmd `cmd:"" group:"For administrators:" help:"Manage accounts, aliases, devices and quotas."`
	Queue   queueCmd   `cmd:"" group:"For administrators:" help:"Look at what waits for delivery, and hurry it."`
	Jobs    jobsCmd    `cmd:"" group:"For administrators:" help:"Look at the work on recordings, and do some once more."`
	DNS     dnsCmd     `cmd:"" name:"dns" group:"For administrators:" help:"Print the DNS records of the server's domains."`
	Check   checkCmd   `cmd:"" group:"For administrators:" help:"Read every stored byte against its hash."`
	Doctor  doctorCmd  `cmd:"" group:"For administrators:" help:"Look for what is wrong with this machine, a domain or another server."`
	Config  configCmd  `cmd:"" group:"For administrators:" help:"Show, check and explain the configuration."`
	Version versionCmd `cmd:"" group:"For administrators:" help:"Print the version of the program and of the protocol."`
}

// globals are understood before and after the name of a command.
type globals struct {
	ConfigFile string `name:"config" placeholder:"FILE" help:"Configuration file. Default: $VAM_CONFIG, else vam.toml in the data folder, else /etc/vam/vam.toml where it exists."`
	Data       string `placeholder:"DIR" help:"Data folder of the server. Default: what the configuration says, else /var/lib/vam for root and ~/.local/share/vam for others."`
	JSON       bool   `name:"json" help:"Print JSON for programs instead of text for people."`
	LogLevel   string `placeholder:"LEVEL" help:"debug, info, warn or error; stronger than log.level of the configuration."`
	Quiet      bool   `short:"q" help:"Print results and errors only: no progress, no hints."`

	Version versionFlag `help:"Print the version and end."`
}

// versionFlag is --version, which works without a command.
type versionFlag bool

// BeforeReset is called by kong as soon as it sees the flag.
func (versionFlag) BeforeReset(app *kong.Kong) error {
	printVersion(app.Stdout, buildVersion())
	app.Exit(exitOK)
	return nil
}

const description = `Video mail between domains, on port 1398.`

const moreHelp = `Start here:

    vam try                     two domains on this machine, to play with
    vam init a.example          make a server for a domain; prints its DNS records
    vam doctor                  say what is wrong, and how to mend it
    vam COMMAND --help          flags and examples of one command

Exit status: 0 when all is well; otherwise one of sysexits(3), as docs/cli.md lists them.
vam doctor is for monitoring: 0 is well, 1 a warning, 2 a failure.`

// exited carries the status of a flag that ends the program, such as --help,
// through kong's parser.
type exited int

// newParser builds the command line; what it prints goes to e.
func newParser(c *cli, e *env) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("vam"),
		kong.Description(description),
		kong.Writers(e.out, e.err),
		kong.Exit(func(code int) { panic(exited(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100, NoExpandSubcommands: true}),
		kong.PostBuild(func(k *kong.Kong) error {
			k.Model.Detail = moreHelp
			addExamples(k.Model.Node)
			return nil
		}),
	)
}

// addExamples gives each command without a longer help the example of its tag.
func addExamples(n *kong.Node) {
	if n.Detail == "" && n.Tag != nil && n.Tag.Has("example") {
		n.Detail = "Example:\n\n    " + strings.Join(n.Tag.GetAll("example"), "\n    ")
	}
	for _, child := range n.Children {
		addExamples(child)
	}
}

// run executes one command line and returns the exit status. Errors are printed,
// not returned: this is the edge towards the person.
func run(ctx context.Context, e *env, args []string) (code int) {
	out := &results{w: e.out}
	e.out = out
	defer func() {
		if code == exitOK && out.err != nil {
			code = e.fail(out.err)
		}
	}()
	defer func() {
		if r := recover(); r != nil {
			status, ok := r.(exited)
			if !ok {
				panic(r)
			}
			code = int(status)
		}
	}()
	var c cli
	parser, err := newParser(&c, e)
	if err != nil {
		panic(err) // a mistake in the tags, found by any test
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	e.globals = &c.globals
	// For the error of a command line that cannot be parsed.
	e.JSON = slices.Contains(args, "--json")
	e.Quiet = slices.Contains(args, "--quiet") || slices.Contains(args, "-q")
	command, err := parser.Parse(args)
	if err != nil {
		return e.fail(&usageError{err: plain(err), command: commandOf(err)})
	}
	if err := e.checkGlobals(); err != nil {
		return e.fail(&usageError{err: err, command: "vam"})
	}
	command.BindTo(ctx, (*context.Context)(nil))
	if err := command.Run(e); err != nil {
		return e.fail(err)
	}
	return exitOK
}

// usageError is a command line that says nothing that the program understands.
type usageError struct {
	err     error
	command string // whose --help tells more
}

func (u *usageError) Error() string { return u.err.Error() }
func (u *usageError) Unwrap() error { return u.err }

// plain says in words what the parser says in its own way of a value that it does not
// know, and of one that is missing.
func plain(err error) error {
	text := err.Error()
	if flag, rest, ok := strings.Cut(text, " must be one of "); ok {
		if list, got, ok := strings.Cut(rest, " but got "); ok {
			words := slices.DeleteFunc(strings.Split(strings.ReplaceAll(list, `"`, ""), ","), func(w string) bool { return w == "" })
			last := len(words) - 1
			return fmt.Errorf("%s is %s or %s, not %s", flag, strings.Join(words[:last], ", "), words[last], got)
		}
	}
	if name, ok := strings.CutPrefix(text, `expected "`); ok && strings.Count(name, `"`) == 1 {
		return errors.New(strings.TrimSuffix(name, `"`) + " is missing")
	}
	return err
}

// commandOf is the command that was recognised before the mistake.
func commandOf(err error) string {
	var pe *kong.ParseError
	if !errors.As(err, &pe) || pe.Context == nil {
		return "vam"
	}
	path := []string{"vam"}
	for _, p := range pe.Context.Path {
		if p.Command != nil {
			path = append(path, p.Command.Name)
		}
	}
	return strings.Join(path, " ")
}

// checkGlobals looks at flags that every command shares.
func (e *env) checkGlobals() error {
	switch e.LogLevel {
	case "", "debug", "info", "warn", "error":
		return nil
	}
	return fmt.Errorf("--log-level must be debug, info, warn or error, not %q", e.LogLevel)
}
