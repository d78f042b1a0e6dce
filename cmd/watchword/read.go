package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxConfig is the largest configuration file, in bytes.
const maxConfig = 1 << 20

// readConfig reads a file strictly. What is wrong in it, line by line, is among the problems, which never repeat a value:
// it may be a secret. If the file is readable nevertheless, the rest of it can be checked too.
func readConfig(path string) (cfg fileConfig, readable bool, problems []error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return cfg, false, []error{fmt.Errorf("the configuration cannot be read: %w", err)}
	}
	if len(text) > maxConfig {
		return cfg, false, []error{fmt.Errorf("%s: more than %d bytes", path, maxConfig)}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	readable, problems = located(path, decoder.Decode(&cfg))
	if len(problems) == 0 {
		if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
			problems = append(problems, fmt.Errorf("%s: more than one document", path))
		}
	}
	return cfg, readable, problems
}

// The library's complaints, and how they read to somebody who does not know the Go types behind the file. A mapping with
// a name twice is not read any further.
var (
	nameTwice  = regexp.MustCompile(`^(line \d+): mapping key ("[^"]*") already defined at (line \d+)$`)
	unknownKey = regexp.MustCompile(`^(line \d+): field (.*) not found in type .*$`)
	wrongType  = regexp.MustCompile("(?s)^(line \\d+): cannot unmarshal !!(\\w+)(?: `.*`)? into (.*)$")
)

var typeNames = map[string]string{
	"str": "a text", "int": "a number", "float": "a number with a fraction", "bool": "true or false", "seq": "a list", "map": "a mapping",
	"timestamp": "a date", "null": "nothing",
}

// located turns the decoder's error into one problem a line; an empty file is none.
func located(path string, err error) (readable bool, problems []error) {
	var several *yaml.TypeError
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return true, nil
	case !errors.As(err, &several):
		return false, []error{fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))}
	}
	readable = true
	for _, text := range several.Errors {
		if m := unknownKey.FindStringSubmatch(text); m != nil {
			text = fmt.Sprintf("%s: there is no setting %q here", m[1], m[2])
		} else if m := wrongType.FindStringSubmatch(text); m != nil {
			text = fmt.Sprintf("%s: %s where %s belongs", m[1], typeNames[m[2]], goTypeName(m[3]))
		} else if m := nameTwice.FindStringSubmatch(text); m != nil {
			readable = false
			text = fmt.Sprintf("%s: %s is there already, in %s", m[1], m[2], m[3])
		}
		problems = append(problems, fmt.Errorf("%s: %s", path, text))
	}
	return readable, problems
}

func goTypeName(name string) string {
	switch {
	case name == "string":
		return "a text"
	case name == "int":
		return "a whole number"
	case name == "bool":
		return "true or false"
	case name == "time.Duration":
		return "a duration such as 10m"
	case name == "time.Time":
		return "a date"
	case strings.HasPrefix(name, "[]"):
		return "a list"
	}
	return "a mapping"
}
