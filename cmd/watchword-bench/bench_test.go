package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
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

func TestCompare(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("skipped: ", redistest.ErrMissing)
	}
	watchword := buildWatchword(t)
	t.Run("measures every mode", func(t *testing.T) { checkMeasurements(t, watchword) })
	t.Run("counts the commands of each mode", func(t *testing.T) { checkCommands(t, watchword) })
}

// checkMeasurements runs every mode on real servers, so shortly that the numbers have no meaning.
func checkMeasurements(t *testing.T, watchword string) {
	o := options{watchword: watchword, modes: allModes(), connections: []int{4}, rounds: 1, duration: 200 * time.Millisecond}
	var out, progress strings.Builder
	if err := compare(t.Context(), o, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	for _, m := range allModes() {
		shares := `–`
		if m.cluster {
			shares = `\d+ / \d+ / \d+`
		}
		findLine(t, out.String(), m.name, `[1-9]\d*`, `\d+\.\d\d`, `[1-9]\d*`, `\d+\.\d\d`, `\d+\.\d\d`, `\d+\.\d\d`, `\d+\.\d\d`, `\d+\.\d\d`)
		commands := `[1-9]\d*\.\d\d`
		if m.key == "memory" {
			commands = `0\.00`
		}
		findLine(t, out.String(), m.name, `[1-9]\d*`, `[1-9]\d*`, `\d+`, commands, `\d+\.\d\d`, shares, shares)
	}
	if n := strings.Count(progress.String(), "\n"); n != len(allModes()) {
		t.Errorf("%d lines of progress for %d measurements:\n%s", n, len(allModes()), progress.String())
	}
}

// checkCommands looks at each command by itself, because the commands of new connections and of the background come at any time.
func checkCommands(t *testing.T, watchword string) {
	modes, err := selectModes("bare,nolimits,limits")
	if err != nil {
		t.Fatal(err)
	}
	c, err := newComparison(options{watchword: watchword, modes: modes, duration: 400 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	commands, cycles := map[string]commandCount{}, map[string]int{}
	for _, m := range modes {
		commands[m.key], cycles[m.key] = countMode(t, c, m)
	}
	perRequest := 0
	for command, n := range commands["bare"] {
		if strings.HasPrefix(command, "evalsha ") {
			perRequest += n
		}
	}
	if n := cycles["bare"]; perRequest != 3*n {
		t.Errorf("the bare handler sends %d scripts in %d cycles, want one a request: %v", perRequest, n, commands["bare"])
	}
	for command := range commands["nolimits"] {
		delete(commands["limits"], command)
	}
	if got := slices.Collect(maps.Values(commands["limits"])); !slices.Contains(got, cycles["limits"]) {
		t.Errorf("with limits these are new in %d cycles: %v; a start charges its limits by one command", cycles["limits"], commands["limits"])
	}
}

// countMode returns the commands of a mode and the cycles in which they were sent.
func countMode(t *testing.T, c *comparison, m mode) (commandCount, int) {
	t.Helper()
	p, err := c.start(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	l := c.newLoad(m, p, 4)
	if err := c.warmUp(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	commands, cycles, err := c.countCommands(t.Context(), c.targets[m.cluster], l)
	if err != nil {
		t.Fatal(err)
	}
	return commands, cycles
}

// findLine requires a table's line: the server's name, its 4 connections and the fields, which are patterns.
func findLine(t *testing.T, report, name string, fields ...string) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(name) + ` \| 4 \| ` + strings.Join(fields, ` \| `) + ` \|$`)
	if !line.MatchString(report) {
		t.Fatalf("no line matches %s in\n%s", line, report)
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
	failing := filepath.Join(t.TempDir(), "watchword")
	if err := os.WriteFile(failing, []byte("#!/bin/sh\n[ \"$1\" = keys ]\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	o := options{watchword: failing, modes: modes, connections: []int{1}, rounds: 1, duration: time.Second}
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
