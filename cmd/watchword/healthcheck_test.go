package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/redistest"
)

func TestHealthcheckAsksTheRunningServer(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	n := startNode(t, t.TempDir(), redis.URL())
	address := strings.TrimPrefix(n.url, "http://")
	_, port, _ := strings.Cut(address, ":")
	config := filepath.Join(t.TempDir(), "watchword.yaml")
	if err := os.WriteFile(config, []byte("listen: "+address+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{{"--listen", address}, {"--listen", ":" + port}, {"--listen", "0.0.0.0:" + port, "--ready"}, {"--config", config}} {
		if err := runCommand(t, append([]string{"healthcheck"}, arguments...)...); err != nil {
			t.Errorf("%q: %v", arguments, err)
		}
	}
	redis.Stop()
	if err := runCommand(t, "healthcheck", "--listen", address); err != nil {
		t.Errorf("the process works: %v", err)
	}
	n.awaitReadiness(503, "")
	if err := runCommand(t, "healthcheck", "--listen", address, "--ready"); err == nil || err.Error() != "the answer is 503" {
		t.Errorf("without Redis: %v", err)
	}
	n.stop()
	if err := runCommand(t, "healthcheck", "--listen", address); err == nil || err.Error() != "no answer: connection refused" {
		t.Errorf("without a server: %v", err)
	}
}
