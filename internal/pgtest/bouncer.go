package pgtest

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bouncerPort is part of the name of PgBouncer's socket.
const bouncerPort = "6432"

// StartBouncer starts a PgBouncer in front of the server until the test ends. Settings are lines of its section [pgbouncer] that
// follow those for transaction mode, such as "default_pool_size = 5". If PgBouncer is not installed, the test is skipped.
// StartBouncer returns what makes the URL of a database lead to it.
func (s *Server) StartBouncer(t testing.TB, settings ...string) (through func(databaseURL string) string) {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer"
	}
	if _, err := os.Stat(program); err != nil || s.bin == "" {
		t.Skip("no PgBouncer for a server of the test: install it (apt-get install pgbouncer)")
	}
	folder, err := os.MkdirTemp("", "wwpb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	config := strings.Join(append([]string{
		"[databases]", "* = host=" + s.folder,
		"[pgbouncer]", "pool_mode = transaction", "unix_socket_dir = " + folder, "listen_port = " + bouncerPort,
		"auth_type = trust", "auth_file = " + filepath.Join(folder, "users"), "max_client_conn = 400"}, settings...), "\n") + "\n"
	for name, text := range map[string]string{"pgbouncer.ini": config, "users": "\"postgres\" \"\"\n\"limited\" \"\"\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := chownToServerUser(folder); err != nil {
		t.Fatal(err)
	}
	s.runBouncer(t, program, folder)
	return func(databaseURL string) string {
		u, err := url.Parse(databaseURL)
		if err != nil {
			t.Fatal(err)
		}
		query := u.Query()
		query.Set("host", folder)
		query.Set("port", bouncerPort)
		u.RawQuery = query.Encode()
		return u.String()
	}
}

// runBouncer starts the program and waits until its socket accepts connections.
func (s *Server) runBouncer(t testing.TB, program, folder string) {
	t.Helper()
	var output bytes.Buffer
	cmd := exec.Command(program, filepath.Join(folder, "pgbouncer.ini"))
	cmd.SysProcAttr, cmd.Dir, cmd.Stdout, cmd.Stderr = processAttributes(), folder, &output, &output
	p, err := startProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline) && !p.hasExited(); time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("unix", filepath.Join(folder, fmt.Sprintf(".s.PGSQL.%s", bouncerPort)))
		if err == nil {
			_ = conn.Close()
			return
		}
	}
	p.kill()
	t.Fatalf("pgbouncer did not start: %s", output.String())
}
