package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func readDoc(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The lines that the README shows are those that the development server prints, which paste.txtar runs.
func TestReadmeShowsTheLines(t *testing.T) {
	if !strings.Contains(readDoc(t, "../../README.md"), strings.ReplaceAll(helloLines, "URL", "http://localhost:8080")) {
		t.Error("the README shows other lines than the development server prints")
	}
}

// Every setting is documented: each key of the file, each flag, each variable.
func TestEverySettingIsDocumented(t *testing.T) {
	doc := readDoc(t, "../../docs/configuration.md")
	for _, key := range keysOf(reflect.TypeFor[fileConfig]()) {
		if !strings.Contains(doc, "`"+key+"`") {
			t.Errorf("docs/configuration.md does not name the key %s", key)
		}
	}
	for _, o := range options() {
		names := []string{"`--" + o.flag, "`" + o.env + "`"}
		if o.secret {
			names = append(names, "`"+o.env+"_FILE`")
		}
		for _, name := range names {
			if !strings.Contains(doc, name) {
				t.Errorf("docs/configuration.md does not name %s", name)
			}
		}
	}
}

// keysOf lists the yaml names of a type and of what is in it.
func keysOf(t reflect.Type) (keys []string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return keysOf(t.Elem())
	case reflect.Struct:
	default:
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if name := f.Tag.Get("yaml"); name != "" {
			keys = append(keys, name)
		}
		keys = append(keys, keysOf(f.Type)...)
	}
	return keys
}

// A promise is worth what its test is: every test that the security model names must be there.
func TestTheSecurityModelNamesRealTests(t *testing.T) {
	named := regexp.MustCompile("`(?:([a-z/]+)\\.)?((?:Test|Fuzz)[A-Za-z0-9]+)`")
	for _, m := range named.FindAllStringSubmatch(readDoc(t, "../../docs/security-model.md"), -1) {
		files, err := filepath.Glob(filepath.Join("../..", m[1], "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		there := slices.ContainsFunc(files, func(file string) bool { return strings.Contains(readDoc(t, file), "func "+m[2]+"(") })
		if !there {
			t.Errorf("docs/security-model.md names %s, which is not in %q", m[2], m[1])
		}
	}
}
