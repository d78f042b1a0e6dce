package main

import (
	"reflect"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// A mappingEntry is one entry of a YAML mapping.
type mappingEntry struct{ key, value *yaml.Node }

// mappingEntries returns the entries of a mapping, and then those that << merges into it under keys that it does not have.
// enclosing are the mappings around n, which must not be merged into it.
func (f *fileReader) mappingEntries(n *yaml.Node, path string, enclosing []*yaml.Node) (out []mappingEntry) {
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		p := mappingEntry{n.Content[i], n.Content[i+1]}
		if p.key.Tag == "!!merge" {
			merged = append(merged, mergedMappings(p.value)...)
		} else if first := findEntry(out, p.key.Value); first != nil {
			f.addProblem(p.key, joinPath(path, p.key.Value), "is set already, in line %d", first.key.Line)
		} else {
			out = append(out, p)
		}
	}
	enclosing = append(enclosing, n)
	for _, m := range merged {
		if m.Kind != yaml.MappingNode || slices.Contains(enclosing, m) {
			f.addProblem(n, path, "<< merges something that is no other mapping")
			continue
		}
		for _, p := range f.mappingEntries(m, path, enclosing) {
			if findEntry(out, p.key.Value) == nil {
				out = append(out, p)
			}
		}
	}
	return out
}

// mergedMappings returns the mappings that << names. An earlier one takes precedence.
func mergedMappings(n *yaml.Node) (out []*yaml.Node) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.SequenceNode {
		return []*yaml.Node{n}
	}
	for _, element := range n.Content {
		if element.Kind == yaml.AliasNode {
			element = element.Alias
		}
		out = append(out, element)
	}
	return out
}

func findEntry(pairs []mappingEntry, key string) *mappingEntry {
	for i := range pairs {
		if pairs[i].key.Value == key {
			return &pairs[i]
		}
	}
	return nil
}

func isEmpty(n *yaml.Node) bool {
	if n.Kind == yaml.ScalarNode {
		return n.Value == "" || n.Tag == "!!null"
	}
	return len(n.Content) == 0
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
)

func isLeaf(t reflect.Type) bool {
	return t == timeType || t.Kind() != reflect.Pointer && t.Kind() != reflect.Slice && t.Kind() != reflect.Map && t.Kind() != reflect.Struct
}

// readLeaf fills a text, a number, a boolean, a duration or a date.
func (f *fileReader) readLeaf(n *yaml.Node, into reflect.Value, path string) {
	switch {
	case n.Kind != yaml.ScalarNode:
		f.addProblem(n, path, "is %s where %s belongs", nodeName(n), typeName(into.Type()))
	case into.Type() == durationType:
		d, err := time.ParseDuration(n.Value)
		if err != nil || d <= 0 {
			f.addProblem(n, path, "must be a positive duration with its unit, such as 30s, 10m or 24h")
			return
		}
		into.SetInt(int64(d))
	case into.Kind() == reflect.Int:
		switch number, err := strconv.Atoi(n.Value); {
		case n.Tag == "!!str":
			f.addProblem(n, path, "is a text where a whole number belongs")
		case err != nil || number < 1:
			f.addProblem(n, path, "must be a whole number, 1 or more; leave it out for the default")
		default:
			into.SetInt(int64(number))
		}
	case n.Decode(into.Addr().Interface()) != nil:
		f.addProblem(n, path, "is %s where %s belongs", nodeName(n), typeName(into.Type()))
	}
}

// yamlKind returns the YAML kind of a type that is no leaf.
func yamlKind(t reflect.Type) yaml.Kind {
	if t.Kind() == reflect.Slice {
		return yaml.SequenceNode
	}
	return yaml.MappingNode
}

// nodeName names the type of a value without YAML's terms.
func nodeName(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	}
	switch n.Tag {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!timestamp":
		return "a date"
	}
	return "a text"
}

// typeName names what a Go type accepts.
func typeName(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a duration such as 10m"
	case t == timeType:
		return "a date such as 2026-12-31"
	case t.Kind() == reflect.String:
		return "a text"
	case t.Kind() == reflect.Int:
		return "a whole number"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice:
		return "a list"
	}
	return "a mapping"
}
