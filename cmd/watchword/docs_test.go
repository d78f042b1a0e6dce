package main

import (
	"os"
	"reflect"
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
