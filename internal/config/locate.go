package config

import (
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// lines maps the path of every key and table of a document to the line on which
// it is written. Elements of an array of tables are numbered: "domains[1].name".
// A document with a syntax error gives the part before it.
func lines(doc []byte) map[string]int {
	out := map[string]int{}
	count := map[string]int{}
	p := &unstable.Parser{}
	p.Reset(doc)
	table := ""
	for p.NextExpression() {
		node := p.Expression()
		switch node.Kind {
		case unstable.Table, unstable.ArrayTable:
			name, line := keyOf(p, node)
			if node.Kind == unstable.ArrayTable {
				n := count[name]
				count[name]++
				name = fmt.Sprintf("%s[%d]", name, n)
			} else if head, rest, ok := strings.Cut(name, "."); ok && count[head] > 0 {
				name = fmt.Sprintf("%s[%d].%s", head, count[head]-1, rest)
			}
			out[name] = line
			table = name + "."
		case unstable.KeyValue:
			locateValue(p, node, table, out)
		}
	}
	return out
}

// locateValue enters a key and, for an inline table, the keys inside.
func locateValue(p *unstable.Parser, node *unstable.Node, prefix string, out map[string]int) {
	name, line := keyOf(p, node)
	out[prefix+name] = line
	value := node.Value()
	switch value.Kind {
	case unstable.InlineTable:
		locateInline(p, value, prefix+name+".", out)
	case unstable.Array:
		items := value.Children()
		for i := 0; items.Next(); i++ {
			if items.Node().Kind == unstable.InlineTable {
				locateInline(p, items.Node(), fmt.Sprintf("%s%s[%d].", prefix, name, i), out)
			}
		}
	}
}

func locateInline(p *unstable.Parser, table *unstable.Node, prefix string, out map[string]int) {
	entries := table.Children()
	for entries.Next() {
		if entries.Node().Kind == unstable.KeyValue {
			locateValue(p, entries.Node(), prefix, out)
		}
	}
}

func keyOf(p *unstable.Parser, node *unstable.Node) (name string, line int) {
	var parts []string
	keys := node.Key()
	for keys.Next() {
		if line == 0 {
			line = p.Shape(keys.Node().Raw).Start.Line
		}
		parts = append(parts, string(keys.Node().Data))
	}
	return strings.Join(parts, "."), line
}
