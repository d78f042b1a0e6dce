package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// logRecords are the lines of a log.
func logRecords(t *testing.T, text string) (records []object) {
	t.Helper()
	for line := range strings.Lines(text) {
		var record object
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("no JSON object: %q", line)
		}
		records = append(records, record)
	}
	return records
}

func TestLogLeavesOutAndSumsUpLinesOfOneKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out syncBuffer
		log := newLogger(&out, slog.LevelInfo)
		ofApp := log.With("app", "shop")
		for n := range 1000 {
			log.Info("request", "status", 401, "request", fmt.Sprint(n))
			log.Info("request", "status", 429, "app", "shop")
			ofApp.Warn("provider failed")
		}
		log.Error("request", "status", 503)
		if got := len(logRecords(t, out.String())); got != 3*maxSameLines+1 {
			t.Errorf("%d lines before the window ends", got)
		}
		time.Sleep(logWindow)
		synctest.Wait()
		sums := map[string]bool{}
		for _, r := range logRecords(t, out.String()) {
			if r["msg"] == "log lines left out" {
				sums[fmt.Sprintf("%v %v %v %v %v", r["level"], r["of"], r["app"], r["status"], r["lines"])] = true
			}
		}
		for _, want := range []string{"INFO request <nil> 401 990", "INFO request shop 429 990", "WARN provider failed shop <nil> 990"} {
			if !sums[want] || len(sums) != 3 {
				t.Errorf("no %s in %v", want, sums)
			}
		}
		before := len(logRecords(t, out.String()))
		log.Info("request", "status", 401)
		if len(logRecords(t, out.String())) != before+1 {
			t.Error("the next window leaves out its first line")
		}
	})
}

// Few lines, however long the server runs, are all written. Lines of the level debug are always written.
func TestLogKeepsRareLinesAndDebugLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out syncBuffer
		log := newLogger(&out, slog.LevelDebug)
		for range 10 * maxSameLines {
			log.Warn("rare")
			time.Sleep(logWindow / maxSameLines)
		}
		for range 10 * maxSameLines {
			log.Debug("request")
		}
		if got := len(logRecords(t, out.String())); got != 20*maxSameLines {
			t.Errorf("%d lines", got)
		}
	})
}
