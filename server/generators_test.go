package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// These tests compile and run the clients that common generators make from the OpenAPI document. The generators are not
// dependencies of the module: testdata/generators has their versions. They are large, so only `make generators` downloads
// them, and a test is skipped if the download fails.

// A generatorWorkspace is a temporary folder with a copy of testdata/generators and the server's OpenAPI document.
type generatorWorkspace struct {
	t      *testing.T
	folder string
}

func newGeneratorWorkspace(t *testing.T, ts *testServer) *generatorWorkspace {
	t.Helper()
	if os.Getenv("WATCHWORD_GENERATORS") == "" {
		t.Skip("the generators are downloaded and run by `make generators`")
	}
	w := &generatorWorkspace{t, t.TempDir()}
	must(t, os.CopyFS(w.folder, os.DirFS("testdata/generators")))
	must(t, os.WriteFile(filepath.Join(w.folder, "openapi.json"), []byte(ts.get("/openapi.json").text), 0o600))
	return w
}

func (w *generatorWorkspace) command(name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(w.t.Context(), 4*time.Minute)
	w.t.Cleanup(cancel)
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = w.folder
	return c
}

// fetch runs a command that downloads generators, and skips the test if it fails.
func (w *generatorWorkspace) fetch(name string, args ...string) {
	w.t.Helper()
	if out, err := w.command(name, args...).CombinedOutput(); err != nil {
		w.t.Skipf("the generators cannot be downloaded, so their clients were NOT compiled: %s %v: %v %.300s", name, args, err, out)
	}
}

func (w *generatorWorkspace) run(name string, args ...string) []byte {
	w.t.Helper()
	c := w.command(name, args...)
	out, err := c.Output()
	if err != nil {
		var stderr []byte
		if exit, ok := err.(*exec.ExitError); ok {
			stderr = exit.Stderr
		}
		w.t.Fatalf("%s %v: %v\n%s\n%s", name, args, err, out, stderr)
	}
	return out
}

func TestGeneratedGoClientsStartAndCheck(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	w := newGeneratorWorkspace(t, ts)
	w.fetch("go", "mod", "download")
	must(t, os.Mkdir(filepath.Join(w.folder, "openapi"), 0o700))
	must(t, os.WriteFile(filepath.Join(w.folder, "openapi", "client.go"), w.run("go", "tool", "oapi-codegen", "openapi.json"), 0o600))
	w.run("go", "tool", "ogen", "openapi.json")
	w.run("go", "build", "-o", "client", ".")

	web := httptest.NewServer(ts.server)
	t.Cleanup(web.Close)
	client := w.command(filepath.Join(w.folder, "client"), web.URL, shopKey)
	client.Stderr = os.Stderr
	codes, err := client.StdinPipe()
	must(t, err)
	out, err := client.StdoutPipe()
	must(t, err)
	must(t, client.Start())
	challenges := 0
	for ids := bufio.NewScanner(out); ids.Scan(); challenges++ {
		_, err := fmt.Fprintln(codes, ts.sentCode("shop", ids.Text()))
		must(t, err)
	}
	if err := client.Wait(); err != nil || challenges != 3 {
		t.Errorf("%d challenges were started: %v", challenges, err)
	}
}

func TestGeneratedTypeScriptClientsStartAndCheck(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: realStrategies(t)})
	w := newGeneratorWorkspace(t, ts)
	w.fetch("npm", "install", "--engine-strict", "--ignore-scripts", "--no-audit", "--no-fund")
	w.run("npx", "--no-install", "openapi-typescript", "openapi.json", "-o", "types.d.ts")
	w.run("npx", "--no-install", "openapi-ts", "-i", "openapi.json", "-o", "client")
	w.run("npx", "--no-install", "tsc", "-p", ".")
	w.run("npx", "--no-install", "tsc", "-p", "tsconfig.run.json") // what Node.js runs without a bundler
	must(t, os.WriteFile(filepath.Join(w.folder, "run", "package.json"), []byte(`{"type": "commonjs"}`), 0o600))

	web := httptest.NewServer(ts.server)
	t.Cleanup(web.Close)
	codes := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, ts.sentCode("shop", strings.TrimPrefix(r.URL.Path, "/")))
	}))
	t.Cleanup(codes.Close)
	if out := string(w.run("node", "run/run.js", web.URL, shopKey, codes.URL)); out != "verified\n" {
		t.Errorf("the clients printed %q", out)
	}
}
