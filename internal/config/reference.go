package config

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

const referenceHead = `# Configuration

A server reads one [TOML](https://toml.io/en/v1.0.0) file. It needs one line:

` + "```toml\ndomain = \"a.example\"\n```" + `

Everything else has a default. ` + "`vam init DOMAIN`" + ` writes the file; ` + "`vam config`" + ` prints every value in force and
where it came from; ` + "`vam config check`" + ` only looks for mistakes. A key that is not in this list is an error, so that a
slip of the pen is found at once.

The file is the first of: ` + "`--config FILE`" + `, ` + "`$VAM_CONFIG`" + `, ` + "`vam.toml`" + ` in the folder of ` + "`--data DIR`" + ` or
` + "`$VAM_DATA_DIR`" + `, ` + "`/etc/vam/vam.toml`" + ` where that exists, ` + "`vam.toml`" + ` in ` + "`/var/lib/vam`" + ` for root and in
` + "`~/.local/share/vam`" + ` for others.

Every key can be overridden by an environment variable, whose name stands with it. Lists are separated by commas there.

| notation | examples | |
|---|---|---|
| size | ` + "`\"10GiB\"`, `\"500MB\"`, `1048576`" + ` | KiB, MiB, GiB, TiB are powers of 1024; KB, MB, GB, TB of 1000; a bare number is octets |
| time span | ` + "`\"30s\"`, `\"4h\"`, `\"14d\"`, `\"1d12h\"`" + ` | always with a unit |
| rate | ` + "`\"20/h\"`, `\"2000/h burst 200\"`, `\"100/10m\"`" + ` | a token bucket: the flow, and how many at once |
| network | ` + "`\"10.1.0.0/16\"`, `\"fd00::/8\"`" + ` | |

This page is generated from the program (` + "`make docs`" + `).
`

// WriteReference writes the description of every key as Markdown: the content of
// docs/configuration.md.
func WriteReference(w io.Writer) error {
	out := bufio.NewWriter(w)
	out.WriteString(referenceHead)
	out.WriteString("\n## Top of the file\n")
	for _, k := range Keys() {
		if k.Table {
			writeTable(out, k)
		} else {
			writeKey(out, k)
		}
	}
	return out.Flush()
}

func writeTable(out io.Writer, k Key) {
	name := "[" + strings.ReplaceAll(k.Path, "[]", "") + "]"
	if strings.HasSuffix(k.Path, "[]") {
		name = "[" + name + "]"
	}
	fmt.Fprintf(out, "\n## `%s`\n\n%s\n", name, k.Doc)
}

func writeKey(out io.Writer, k Key) {
	fmt.Fprintf(out, "\n### `%s`\n\n%s\n\n", k.Path, k.Doc)
	facts := []string{k.Type}
	if k.Allowed != "" {
		facts = append(facts, k.Allowed)
	}
	if k.Default != `""` {
		facts = append(facts, "default `"+k.Default+"`")
	}
	if k.Example != "" {
		example := k.Example
		if !strings.HasPrefix(example, "[") {
			example = `"` + example + `"`
		}
		facts = append(facts, "for example `"+example+"`")
	}
	if k.Env != "" {
		facts = append(facts, "`"+k.Env+"`")
	}
	fmt.Fprintf(out, "%s\n", strings.Join(facts, " · "))
}
