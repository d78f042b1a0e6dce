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
	"strconv"
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
	o := options{watchword: buildWatchword(t), modes: allModes(), connections: []int{4}, rounds: 1, duration: 200 * time.Millisecond}
	var out, progress strings.Builder
	if err := compare(t.Context(), o, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	commands := map[string]float64{}
	for _, m := range allModes() {
		shares := `–`
		if m.cluster {
			shares = `\d+ / \d+ / \d+`
		}
		findLine(t, out.String(), m.name, `[1-9]\d*`, `\d+\.\d\d`, `[1-9]\d*`, `\d+\.\d\d`, `\d+\.\d\d`, `\d+\.\d\d`, `\d+\.\d\d`, `\d+\.\d\d`)
		costs := findLine(t, out.String(), m.name, `[1-9]\d*`, `[1-9]\d*`, `\d+`, `(\d+\.\d\d)`, `\d+\.\d\d`, shares, shares)
		n, err := strconv.ParseFloat(costs[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		commands[m.key] = n
	}
	if n := commands["bare"]; n != 3 {
		t.Errorf("the bare handler sends %.2f commands a cycle, want one a request", n)
	}
	if n := commands["memory"]; n != 0 {
		t.Errorf("the server in memory sends %.2f commands a cycle to Redis", n)
	}
	if without, with := commands["nolimits"], commands["limits"]; with < without+0.3 {
		t.Errorf("%.2f commands a cycle with limits, %.2f without; a start charges its limits by one command", with, without)
	}
	if n := strings.Count(progress.String(), "\n"); n != len(allModes()) {
		t.Errorf("%d lines of progress for %d measurements:\n%s", n, len(allModes()), progress.String())
	}
}

// findLine returns the match of a table's line: the server's name, its 4 connections and the fields, which are patterns.
func findLine(t *testing.T, report, name string, fields ...string) []string {
	t.Helper()
	line := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(name) + ` \| 4 \| ` + strings.Join(fields, ` \| `) + ` \|$`)
	found := line.FindStringSubmatch(report)
	if found == nil {
		t.Fatalf("no line matches %s in\n%s", line, report)
	}
	return found
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
