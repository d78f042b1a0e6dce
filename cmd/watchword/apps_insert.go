package main

import (
	"bytes"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// insertApp returns a configuration with the lines of one more app behind the others. It is not ok if the apps are not listed one below
// the other, or if anything else would change.
func insertApp(text []byte, lines []string) (added []byte, ok bool) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil || len(document.Content) == 0 {
		return nil, false
	}
	apps := findMember(document.Content[0], "apps")
	if apps == nil || apps.Kind != yaml.SequenceNode || apps.Style&yaml.FlowStyle != 0 || len(apps.Content) == 0 {
		return nil, false
	}
	all := strings.SplitAfter(string(text), "\n")
	first := all[apps.Content[0].Line-1]
	indent, _, hasDash := strings.Cut(first, "-")
	if !hasDash || strings.TrimSpace(indent) != "" {
		return nil, false
	}
	end := min(lastLine(apps), len(all))
	var b strings.Builder
	b.WriteString(strings.Join(all[:end], ""))
	if !strings.HasSuffix(b.String(), "\n") {
		b.WriteString("\n")
	}
	for _, line := range lines {
		b.WriteString(indent + line + "\n")
	}
	b.WriteString(strings.Join(all[end:], ""))
	return []byte(b.String()), addsOneApp(text, []byte(b.String()))
}

// findMember returns the value of a mapping's member; nil if there is none.
func findMember(mapping *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// lastLine returns the number of the last line of a node, counted from 1.
func lastLine(n *yaml.Node) int {
	last := n.Line
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		last += strings.Count(strings.TrimRight(n.Value, "\n"), "\n") + 1
	}
	for _, child := range n.Content {
		last = max(last, lastLine(child))
	}
	return last
}

// addsOneApp reports whether a configuration differs from another by one more app at the end alone.
func addsOneApp(before, after []byte) bool {
	var old, changed map[string]any
	if yaml.NewDecoder(bytes.NewReader(before)).Decode(&old) != nil || yaml.NewDecoder(bytes.NewReader(after)).Decode(&changed) != nil {
		return false
	}
	oldApps, _ := old["apps"].([]any)
	apps, _ := changed["apps"].([]any)
	if len(apps) != len(oldApps)+1 || !reflect.DeepEqual(oldApps, apps[:len(oldApps)]) {
		return false
	}
	delete(old, "apps")
	delete(changed, "apps")
	return reflect.DeepEqual(old, changed)
}
