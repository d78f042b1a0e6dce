package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// maxConfigBytes is the maximum size of the configuration file.
const maxConfigBytes = 1 << 20

// readConfig reads a file strictly. Problems never contain a value, which may be a secret. The file is readable if it is YAML;
// then cfg has the settings without a problem, which can be checked further.
func readConfig(path string) (cfg fileConfig, readable bool, problems []error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return cfg, false, []error{fmt.Errorf("the configuration cannot be read: %w", err)}
	}
	if len(text) > maxConfigBytes {
		return cfg, false, []error{fmt.Errorf("%s: more than %d bytes", path, maxConfigBytes)}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	err = decoder.Decode(&document)
	switch {
	case errors.Is(err, io.EOF): // nothing but comments
		return cfg, true, nil
	case err != nil:
		return cfg, false, []error{fmt.Errorf("%s (%s, line %d)", libraryText(err), path, findErrorLine(text))}
	case document.Content[0].Kind != yaml.MappingNode:
		return cfg, false, []error{fmt.Errorf("is %s where a mapping belongs (%s, line %d)", nodeName(document.Content[0]), path, document.Content[0].Line)}
	case !errors.Is(decoder.Decode(new(yaml.Node)), io.EOF):
		return cfg, false, []error{fmt.Errorf("%s: more than one document", path)}
	}
	f := fileReader{name: path}
	f.readValue(document.Content[0], reflect.ValueOf(&cfg).Elem(), "")
	cfg.Database.folder = filepath.Dir(path)
	return cfg, true, f.problems
}

// libraryText returns an error of the YAML library without its line, which is missing or another one for many errors.
func libraryText(err error) string {
	text := libraryLine.ReplaceAllString(err.Error(), "")
	if text == "found character that cannot start any token" {
		text += "; YAML is indented with spaces, not with tabs"
	}
	return text
}

var libraryLine = regexp.MustCompile(`^yaml: (line \d+: )?`)

// findErrorLine returns the first line of a text with which it is no YAML: without that line and those after it, it is.
func findErrorLine(text []byte) int {
	lines := bytes.SplitAfter(text, []byte("\n"))
	from := max(len(lines)-maxLinesTried, 0)
	end := len(text)
	for n := len(lines) - 1; n >= from; n-- {
		end -= len(lines[n])
		err := yaml.NewDecoder(bytes.NewReader(text[:end])).Decode(new(yaml.Node))
		if err == nil || errors.Is(err, io.EOF) {
			return n + 1
		}
	}
	return from + 1
}

// maxLinesTried bounds how often findErrorLine parses the text.
const maxLinesTried = 2000

// A fileReader fills Go values from YAML. It is stricter than the library: no value is empty, because an empty text, list or
// mapping could mean all or none; a number is positive; a duration has a unit. Problems begin with the path of the setting, such
// as apps[0].codes.tries.
type fileReader struct {
	name     string
	problems []error
}

func (f *fileReader) addProblem(n *yaml.Node, path, format string, args ...any) {
	if path != "" {
		path += ": "
	}
	f.problems = append(f.problems, fmt.Errorf("%s%s (%s, line %d)", path, fmt.Sprintf(format, args...), f.name, n.Line))
}

// A shortForm is a mapping that can also be a text.
type shortForm interface{ setText(text string) }

// readValue fills one value. It ends on anchors that contain themselves, because the types are of finite depth.
func (f *fileReader) readValue(n *yaml.Node, into reflect.Value, path string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	short, isShort := into.Addr().Interface().(shortForm)
	switch {
	case isEmpty(n):
		f.addProblem(n, path, "is empty: give it a value, or leave it out for the default")
	case isShort && n.Kind == yaml.ScalarNode:
		short.setText(n.Value)
	case isLeaf(into.Type()):
		f.readLeaf(n, into, path)
	case into.Kind() == reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		f.readValue(n, into.Elem(), path)
	case n.Kind != yamlKind(into.Type()):
		f.addProblem(n, path, "is %s where %s belongs", nodeName(n), typeName(into.Type()))
	case into.Kind() == reflect.Slice:
		into.Set(reflect.MakeSlice(into.Type(), len(n.Content), len(n.Content)))
		for i, element := range n.Content {
			f.readValue(element, into.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	default:
		f.readMapping(n, into, path)
	}
}

// readMapping fills a struct by the yaml tags of its fields, or a map.
func (f *fileReader) readMapping(n *yaml.Node, into reflect.Value, path string) {
	if into.Kind() == reflect.Map {
		into.Set(reflect.MakeMap(into.Type()))
	}
	for _, p := range f.mappingEntries(n, path, nil) {
		at := joinPath(path, p.key.Value)
		if into.Kind() == reflect.Map {
			value := reflect.New(into.Type().Elem()).Elem()
			f.readValue(p.value, value, at)
			into.SetMapIndex(reflect.ValueOf(p.key.Value), value)
		} else if field, ok := fieldNamed(into.Type(), p.key.Value); ok {
			f.readValue(p.value, into.FieldByIndex(field.Index), at)
		} else {
			f.addProblem(p.key, at, "there is no such setting%s", suggest(p.key.Value, settingNames(into.Type())))
		}
	}
}

// settingNames returns the names of the settings of a struct.
func settingNames(t reflect.Type) (names []string) {
	for _, field := range reflect.VisibleFields(t) {
		if tag := field.Tag.Get("yaml"); tag != "" {
			names = append(names, tag)
		}
	}
	return names
}

func fieldNamed(t reflect.Type, key string) (reflect.StructField, bool) {
	for _, field := range reflect.VisibleFields(t) {
		if tag := field.Tag.Get("yaml"); tag == key && tag != "" {
			return field, true
		}
	}
	return reflect.StructField{}, false
}
