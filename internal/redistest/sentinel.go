package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// StartSentinel runs a Sentinel until the test ends. It monitors one master with a name and a password.
func StartSentinel(t testing.TB, name string, master *Server, password string) *Server {
	t.Helper()
	dir := t.TempDir()
	host, port := master.HostPort()
	config := filepath.Join(dir, "sentinel.conf") // Sentinel rewrites it
	text := fmt.Sprintf("bind 127.0.0.1\nsentinel monitor %s %s %s 1\nsentinel auth-pass %s %s\n", name, host, port, name, password)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := run(dir, func(port int) []string {
		return []string{config, "--port", strconv.Itoa(port), "--logfile", filepath.Join(dir, logName), "--sentinel"}
	})
	skipOrFail(t, err)
	t.Cleanup(s.Stop)
	return s
}
