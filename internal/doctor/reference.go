package doctor

import (
	"fmt"
	"io"
	"strings"
)

const referenceHead = `# vam doctor

` + "`vam doctor`" + ` looks at this machine, its ports and every domain of the configuration; ` + "`vam doctor DOMAIN`" + ` looks at any
domain as another server would; ` + "`vam doctor --host HOST`" + ` asks one machine what answers on its port. It changes nothing.

Each finding says what was expected, what was found and how to mend it. The exit status is that of monitoring plugins:
0 when all is well, 1 for a warning, 2 for a failure.

With ` + "`--json`" + ` it prints one object. Its keys are stable; new ones and new ids may be added.

| key | |
|---|---|
| ` + "`status`" + ` | the gravest level: ` + "`ok`, `warn` or `fail`" + ` |
| ` + "`findings[].id`" + ` | what was looked at, from the table below |
| ` + "`findings[].subject`" + ` | the domain, host, address or path; absent for the machine as a whole |
| ` + "`findings[].title`" + ` | the id for people |
| ` + "`findings[].level`" + ` | ` + "`ok`, `warn` or `fail`" + ` |
| ` + "`findings[].expected`, `.found`, `.fix`" + ` | sentences; ` + "`fix`" + ` is absent where nothing is to be done |

| id | title | |
|---|---|---|
`

// WriteReference writes the content of docs/doctor.md.
func WriteReference(w io.Writer) error {
	var b strings.Builder
	b.WriteString(referenceHead)
	for _, c := range Checks() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.ID, c.Title, c.About)
	}
	b.WriteString("\nThis page is generated from the program (`make docs`).\n")
	_, err := io.WriteString(w, b.String())
	return err
}
