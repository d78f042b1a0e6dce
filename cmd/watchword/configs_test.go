package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The files in testdata/configs are configurations as people write them. Comments on top give
// environment variables (env NAME=value), flags (flag --name=value) and, of the wrong ones, all that check-config reports, a
// line a problem. Beside each there are the keys that `watchword keys new` makes, and what is in testdata/configs/files.

func TestCheckConfigReportsEverythingThatIsWrong(t *testing.T) {
	for _, name := range configs(t, "wrong", 40) {
		t.Run(name, func(t *testing.T) {
			want := comments(t, name, "wrong: ")
			err := checkConfig(t, name)
			var wrong configError
			if !errors.As(err, &wrong) {
				t.Fatalf("got %v, want %q", err, want)
			}
			got := strings.Split(wrong.Error(), "\n  - ")[1:]
			for _, problem := range got {
				if !slices.Contains(want, problem) {
					t.Errorf("unexpected: %s", problem)
				}
			}
			for _, problem := range want {
				if !slices.Contains(got, problem) {
					t.Errorf("missing: %s", problem)
				}
			}
		})
	}
}

func TestCheckConfigAcceptsValidConfigurations(t *testing.T) {
	for _, name := range configs(t, "sane", 20) {
		t.Run(name, func(t *testing.T) {
			if err := checkConfig(t, name); err != nil {
				t.Error(err)
			}
		})
	}
}

// configs are the paths of a folder's files, of which there must be so many.
func configs(t *testing.T, folder string, least int) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/configs/" + folder + "/*.yaml")
	if err != nil || len(names) < least {
		t.Fatalf("%d files, want %d: %v", len(names), least, err)
	}
	for i := range names {
		if names[i], err = filepath.Abs(names[i]); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// comments are the rest of the file's first lines that begin with # and the word.
func comments(t *testing.T, path, word string) (found []string) {
	t.Helper()
	for line := range strings.Lines(readDoc(t, path)) {
		line = strings.TrimRight(strings.TrimPrefix(line, "\ufeff"), "\r\n")
		text, isComment := strings.CutPrefix(line, "# ")
		if !isComment {
			break
		}
		if rest, ok := strings.CutPrefix(text, word); ok {
			found = append(found, rest)
		}
	}
	return found
}

// checkConfig runs check-config on a copy of the file, in a folder with keys, from another folder.
func checkConfig(t *testing.T, path string) error {
	t.Helper()
	for _, variable := range comments(t, path, "env ") {
		key, value, _ := strings.Cut(variable, "=")
		t.Setenv(key, value)
	}
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("testdata/configs/files")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"1", "2"} {
		if err := runCommand(t, "keys", "new", "--dir", folder, "--name", name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "watchword.yaml"), []byte(readDoc(t, path)), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := comments(t, path, "flag ")
	t.Chdir(folder)
	return runCommand(t, append([]string{"check-config", "--config", "watchword.yaml"}, flags...)...)
}

func runCommand(t *testing.T, arguments ...string) error {
	t.Helper()
	var out bytes.Buffer
	command := newRootCommand(&out, &out)
	command.SetArgs(arguments)
	return command.ExecuteContext(t.Context())
}
