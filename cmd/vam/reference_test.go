package main

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/videoactivmail/vam/internal/golden"
)

func TestCLIReferenceIsUpToDate(t *testing.T) {
	got := cliReference(t)
	golden.Compare(t, "../../docs/cli.md", got)
}

// outputs names the type that each command prints with --json: "[]T" is a list, "" says
// that nothing is printed on standard output, "ok" is {"ok":true}.
func outputs() map[string]string {
	return map[string]string{
		"send": "userwire.Message", "inbox": "userwire.Entries", "show": "userwire.Entry", "get": "saved",
		"link": "userwire.Links", "probe": "probed", "jobs list": "[]mediaJob", "jobs again": "ok",
		"accept": "ok", "decline": "ok", "revoke": "userwire.Message", "delete": "ok",
		"contact list": "userwire.Contacts", "contact add": "ok", "contact block": "ok", "contact remove": "ok",
		"login": "loggedIn", "try": "trialResult", "init": "initialised", "serve": "",
		"account list": "[]accountLine", "account add": "accountLine", "account token": "accountLine",
		"account device": "[]deviceLine", "account alias add": "ok", "account alias remove": "ok", "account quota": "ok", "account delete": "ok",
		"queue list": "[]waitingJob", "queue retry": "ok", "dns": "[]daemon.DNSRecord", "check": "checked", "doctor": "doctor.Report",
		"config show": "effective", "config check": "configChecked", "config reference": "[]reference", "version": "version",
	}
}

// more are the types of a command beside the first, with when each is printed.
func more() map[string][][2]string {
	return map[string][][2]string{
		"show":           {{"With `--mail`", "shownMail"}},
		"try":            {{"Without `--send`, and with `--stay` after it", "running"}},
		"link":           {{"With `--revoke`, the one that was ended.", ""}},
		"account device": {{"With `--remove`", "ok"}},
		"dns":            {{"With `--policy`, the policy document of spec/02-discovery.md.", ""}},
	}
}

// cliReference writes docs/cli.md from the model of the command line and the types that the
// commands print.
func cliReference(t *testing.T) string {
	t.Helper()
	var c cli
	parser, err := newParser(&c, &env{out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	types := readTypes(t)
	var b strings.Builder
	b.WriteString(intro)
	b.WriteString("| flag | |\n|---|---|\n")
	for _, f := range parser.Model.Flags {
		fmt.Fprintf(&b, "| %s | %s |\n", flagName(f), cell(f.Help))
	}
	b.WriteString(statusIntro)
	for _, s := range exitStatuses() {
		fmt.Fprintf(&b, "| %d | %s | %s |\n", s.code, s.name, cell(s.meaning))
	}
	b.WriteString(errorIntro)
	types.table(t, &b, "failure")
	group := ""
	for _, n := range parser.Model.Children {
		if g := strings.TrimSuffix(n.Group.Title, ":"); g != group {
			group = g
			fmt.Fprintf(&b, "\n## %s\n", group)
		}
		describeNode(t, &b, types, n, "")
	}
	return b.String()
}

const intro = `# The command line

` + "`vam`" + ` is the server, the administrator's tool and the program of the people who have an account. This page is generated
from the program (` + "`make docs`" + `); ` + "`vam COMMAND --help`" + ` says the same.

Results go to standard output; progress, hints and errors go to standard error. What others chose (names, subjects, texts)
is made harmless for a terminal. ` + "`NO_COLOR`" + ` switches colour off, and there is none where no terminal is.

| environment | |
|---|---|
| ` + "`VAM_CONFIG`, `VAM_DATA_DIR`" + ` | as ` + "`--config`" + ` and the data folder; every key of the [configuration](configuration.md) has a variable |
| ` + "`VAM_PROFILE`" + ` | file of your accounts; else ` + "`vam/profile.json`" + ` in ` + "`$XDG_CONFIG_HOME`" + ` or ` + "`~/.config`" + ` |
| ` + "`VAM_TOKEN`, `VAM_SERVER`, `VAM_CA_FILE`" + ` | a token, its server and the authority to trust, in place of a profile |
| ` + "`XDG_STATE_HOME`" + ` | holds what is needed to go on with a broken upload, in ` + "`vam/outbox`" + `; else ` + "`~/.local/state`" + ` |

## Flags of every command

`

const statusIntro = `
## Exit status

Those of sysexits(3).

| status | name | meaning |
|---|---|---|
`

const errorIntro = `
## Output for programs

With ` + "`--json`" + ` a command prints one JSON document on standard output. Keys are stable: new ones may be added, none is renamed
or changes its meaning. A key that is marked *optional* is absent when there is nothing to say. Times are RFC 3339, sizes are
octets, durations seconds. A command that only does something prints ` + "`{\"ok\":true}`" + `.

An error is one line on standard error, the last one, an object with the key ` + "`error`" + ` that holds:

`

func describeNode(t *testing.T, b *strings.Builder, types typeSet, n *kong.Node, parent string) {
	t.Helper()
	path := strings.TrimSpace(parent + " " + n.Name)
	fmt.Fprintf(b, "\n%s vam %s\n\n%s\n", strings.Repeat("#", min(5, 3+strings.Count(path, " "))), path, n.Help)
	if n.Detail != "" {
		fmt.Fprintf(b, "\n%s\n", n.Detail)
	}
	if !n.Leaf() {
		for _, child := range n.Children {
			describeNode(t, b, types, child, path)
		}
		return
	}
	fmt.Fprintf(b, "\n```\nvam %s\n```\n", n.Summary())
	if len(n.Positional)+len(n.Flags) > 0 {
		b.WriteString("\n| | |\n|---|---|\n")
	}
	for _, p := range n.Positional {
		fmt.Fprintf(b, "| `%s` | %s |\n", p.Summary(), cell(p.Help))
	}
	for _, f := range n.Flags {
		fmt.Fprintf(b, "| %s | %s |\n", flagName(f), cell(f.Help))
	}
	name, ok := outputs()[path]
	if !ok {
		t.Errorf("outputs says nothing about `vam %s`", path)
	}
	types.output(t, b, "With `--json`", name)
	for _, m := range more()[path] {
		types.output(t, b, m[0], m[1])
	}
}

func flagName(f *kong.Flag) string {
	name := "`--" + f.Name + "`"
	if f.Tag.Negatable != "" {
		name = "`--[no-]" + f.Name + "`"
	}
	if !f.IsBool() {
		name = "`--" + f.Name + "=" + f.FormatPlaceHolder() + "`"
	}
	if f.Short != 0 {
		name = "`-" + string(f.Short) + "`, " + name
	}
	return name
}

// cell is text inside a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func TestEveryCommandHasAnExample(t *testing.T) {
	var c cli
	parser, err := newParser(&c, &env{out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range parser.Model.Leaves(false) {
		if !strings.Contains(n.Detail, "Example") || !strings.Contains(n.Detail, "vam ") {
			t.Errorf("`vam %s --help` shows no example", strings.TrimPrefix(n.FullPath(), "vam "))
		}
		for _, v := range append(valuesOf(n.Flags), n.Positional...) {
			if !strings.HasSuffix(v.Help, ".") && !strings.HasSuffix(v.Help, "?") {
				t.Errorf("`vam %s`: the help of %s is no sentence: %q", n.FullPath(), v.Name, v.Help)
			}
		}
	}
}

func valuesOf(flags []*kong.Flag) (out []*kong.Value) {
	for _, f := range flags {
		out = append(out, f.Value)
	}
	return out
}
