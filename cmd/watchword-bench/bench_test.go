package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// TestMain serves a bare handler where the benchmark starts this program for it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == bareArgument {
		main()
		return
	}
	os.Exit(m.Run())
}

// A short run of every mode on real servers. It says nothing about speed.
func TestCompareMeasuresEveryMode(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("skipped: ", redistest.ErrMissing)
	}
	o := options{watchword: buildWatchword(t), modes: allModes(), connections: []int{4}, rounds: 1, duration: 100 * time.Millisecond}
	var out, progress strings.Builder
	if err := compare(t.Context(), o, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	for _, m := range allModes() {
		shares, commands := `100`, `[1-9]\d*\.\d\d`
		if m.cluster {
			shares = `\d+ / \d+ / \d+`
		}
		if m.key == bareMode.key {
			commands = `3\.00` // one a request
		}
		// cycles/s, ratio, CPU, ratio, p50, p99, send, p99; and idle, load, Redis CPU, commands, reads, shares
		for _, fields := range []string{` [1-9]\d* \| \d+\.\d\d \| [1-9]\d* \| \d+\.\d\d \| \d+\.\d\d \| \d+\.\d\d \| \d+\.\d\d \| \d+\.\d\d `,
			` [1-9]\d* \| [1-9]\d* \| [1-9]\d* \| ` + commands + ` \| [1-9]\d*\.\d\d \| ` + shares + ` \| ` + shares + ` `} {
			line := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(m.name) + ` \| 4 \|` + fields + `\|$`)
			if !line.MatchString(out.String()) {
				t.Errorf("no line matches %s in\n%s", line, out.String())
			}
		}
	}
	if n := strings.Count(progress.String(), "\n"); n != len(allModes()) {
		t.Errorf("%d lines of progress for %d measurements:\n%s", n, len(allModes()), progress.String())
	}
}

func TestCompareFailsIfAServerDoesNotStart(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("skipped: ", redistest.ErrMissing)
	}
	modes, err := selectModes("limits")
	if err != nil {
		t.Fatal(err)
	}
	o := options{watchword: "/bin/false", modes: modes, connections: []int{1}, rounds: 1, duration: time.Second}
	err = compare(t.Context(), o, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "the server did not start") {
		t.Errorf("the error is %v", err)
	}
}

// buildWatchword builds the program, with the race detector if this test has it: then its packages are compiled already.
func buildWatchword(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "watchword")
	args := []string{"build", "-o", path}
	if isRaceBuild() {
		args = append(args, "-race")
	}
	out, err := exec.CommandContext(t.Context(), "go", append(args, "../watchword")...).CombinedOutput()
	if errors.Is(err, context.Canceled) {
		t.FailNow()
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

func isRaceBuild() bool {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}
