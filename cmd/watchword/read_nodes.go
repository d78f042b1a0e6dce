package main

import (
	"reflect"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// A pair is one entry of a mapping.
type pair struct{ key, value *yaml.Node }

// pairs are the entries of a mapping and, behind them, those that << merges into it and that it does not have itself.
func (f *fileReader) pairs(n *yaml.Node, path string, around []*yaml.Node) (out []pair) {
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		p := pair{n.Content[i], n.Content[i+1]}
		if p.key.Tag == "!!merge" {
			merged = append(merged, mergedMappings(p.value)...)
		} else if first := find(out, p.key.Value); first != nil {
			f.refuse(p.key, below(path, p.key.Value), "is there already, in line %d", first.key.Line)
		} else {
			out = append(out, p)
		}
	}
	around = append(around, n)
	for _, m := range merged {
		if m.Kind != yaml.MappingNode || slices.Contains(around, m) {
			f.refuse(n, path, "<< merges something that is no other mapping")
			continue
		}
		for _, p := range f.pairs(m, path, around) {
			if find(out, p.key.Value) == nil {
				out = append(out, p)
			}
		}
	}
	return out
}

// mergedMappings are what << names: one mapping, or several, of which an earlier one wins.
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

func find(pairs []pair, key string) *pair {
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

// readLeaf fills a text, a number, a truth value, a duration or a date.
func (f *fileReader) readLeaf(n *yaml.Node, into reflect.Value, path string) {
	switch {
	case n.Kind != yaml.ScalarNode:
		f.refuse(n, path, "is %s where %s belongs", nodeName(n), typeName(into.Type()))
	case into.Type() == durationType:
		d, err := time.ParseDuration(n.Value)
		if err != nil || d <= 0 {
			f.refuse(n, path, "must be a positive duration with its unit, such as 30s, 10m or 24h")
			return
		}
		into.SetInt(int64(d))
	case into.Kind() == reflect.Int:
		switch number, err := strconv.Atoi(n.Value); {
		case n.Tag == "!!str":
			f.refuse(n, path, "is a text where a whole number belongs")
		case err != nil || number < 1:
			f.refuse(n, path, "must be a whole number, 1 or more; leave it out for the default")
		default:
			into.SetInt(int64(number))
		}
	case n.Decode(into.Addr().Interface()) != nil:
		f.refuse(n, path, "is %s where %s belongs", nodeName(n), typeName(into.Type()))
	}
}

// yamlKind is how a type that is no leaf is written.
func yamlKind(t reflect.Type) yaml.Kind {
	if t.Kind() == reflect.Slice {
		return yaml.SequenceNode
	}
	return yaml.MappingNode
}

// nodeName is what a value is, to somebody who does not know YAML's types.
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

// typeName is what belongs into a Go type.
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
