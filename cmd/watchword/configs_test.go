package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The files in testdata/configs are configurations as operators write them. Comments at the top give environment variables (env
// NAME=value), flags (flag --name=value) and, in the folder invalid, each problem that check-config must report (wrong: problem).
// The keys of `watchword keys new` and the files of testdata/configs/files are in the same folder as the configuration.

func TestCheckConfigReportsEverythingThatIsWrong(t *testing.T) {
	for _, name := range configFiles(t, "invalid", 40) {
		t.Run(name, func(t *testing.T) {
			want := comments(t, name, "wrong: ")
			err := checkConfig(t, name)
			var wrong configError
			if !errors.As(err, &wrong) {
				t.Fatalf("got %v, want %q", err, want)
			}
			got := strings.Split(wrong.Error(), "\n  - ")[1:]
			for _, problem := range got {
				if goField.MatchString(problem) {
					t.Errorf("names a field of Go instead of a setting: %s", problem)
				}
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

// goField matches a field of a Go configuration, such as Rules[0].Window, where a problem has a path.
var goField = regexp.MustCompile(`(^|: )[A-Z][A-Za-z]*(\[\d+\])?(\.[A-Z][A-Za-z]*)*: `)

func TestCheckConfigAcceptsValidConfigurations(t *testing.T) {
	for _, name := range configFiles(t, "valid", 20) {
		t.Run(name, func(t *testing.T) {
			if err := checkConfig(t, name); err != nil {
				t.Error(err)
			}
		})
	}
}

// configFiles returns the paths of a folder's configurations. It fails if there are fewer than minFiles.
func configFiles(t *testing.T, folder string, minFiles int) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/configs/" + folder + "/*.yaml")
	if err != nil || len(names) < minFiles {
		t.Fatalf("%d files, want %d: %v", len(names), minFiles, err)
	}
	for i := range names {
		if names[i], err = filepath.Abs(names[i]); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// comments returns the comments at the top of a file that begin with a prefix, without it.
func comments(t *testing.T, path, prefix string) (found []string) {
	t.Helper()
	for line := range strings.Lines(readDoc(t, path)) {
		line = strings.TrimRight(strings.TrimPrefix(line, "\ufeff"), "\r\n")
		text, isComment := strings.CutPrefix(line, "# ")
		if !isComment {
			break
		}
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			found = append(found, rest)
		}
	}
	return found
}

// checkConfig runs check-config on a copy of the file, in a folder with keys.
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
	for _, name := range testVariables {
		if os.Getenv(name) != "" {
			t.Setenv(name, "")
		}
	}
	var out bytes.Buffer
	command := newRootCommand(&out, &out)
	command.SetArgs(arguments)
	return command.ExecuteContext(t.Context())
}
