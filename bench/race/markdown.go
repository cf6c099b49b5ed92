package race

import (
	"fmt"
	"slices"
	"strings"
)

// Markdown is the report for people: first every goal and what came of it, then the
// tables.
func (r Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Machine: %s.\n\n", r.Machine)
	b.WriteString("| figure | goal | measured |\n|---|---|---|\n")
	for _, res := range r.Results {
		for _, g := range res.Goals {
			verdict := g.verdict()
			if !g.Met && g.Measured != 0 {
				verdict = "**" + verdict + "**"
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", res.Title, g.aim(), verdict)
		}
	}
	for _, res := range r.Results {
		b.WriteString("\n")
		res.markdown(&b)
	}
	return b.String()
}

func (r Result) markdown(b *strings.Builder) {
	better := "more is better"
	if r.Smaller {
		better = "less is better"
	}
	fmt.Fprintf(b, "### %s\n\n", r.Title)
	if r.Setting != "" {
		fmt.Fprintf(b, "%s\n\n", r.Setting)
	}
	fmt.Fprintf(b, "In %s, %s; %s. Measured %s, load average before %s.\n\n", r.Unit, better, runs(r.Rounds), r.When.UTC().Format("2006-01-02 15:04 UTC"), r.Load)
	b.WriteString("| | " + r.Unit + " | ratio | min–max | congestion control | |\n|---|--:|--:|--:|---|---|\n")
	for _, row := range r.Rows {
		if row.Error != "" {
			fmt.Fprintf(b, "| %s | – | – | – | %s | not measured: %s |\n", row.Name, row.Congestion, strings.Join(strings.Fields(row.Error), " "))
			continue
		}
		fmt.Fprintf(b, "| %s | %s | %.2f | %s | %s | %s |\n", row.Name, number(row.Median), row.Ratio, row.span(), row.Congestion, remarks(row))
	}
}

// span is the least and the greatest value.
func (r Row) span() string {
	return number(slices.Min(append(r.Samples, r.Median))) + "–" + number(slices.Max(append(r.Samples, r.Median)))
}

// aim is the goal alone.
func (g Goal) aim() string {
	sign := "≥"
	if g.AtMost {
		sign = "≤"
	}
	s := fmt.Sprintf("%s %s %s", g.Name, sign, short(g.Ratio))
	if g.Of != "" {
		s += " × " + g.Of
	}
	return s
}
