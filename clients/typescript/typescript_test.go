// Package typescript_test builds the TypeScript client and runs its tests against a development server.
package typescript_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// A workspace is a copy of the package in which npm has installed what its tests need, and a development server's program.
type workspace struct {
	t       *testing.T
	folder  string
	program string
}

// newWorkspace skips the test where Node.js 20.3, npm or the packages are missing.
func newWorkspace(t *testing.T) *workspace {
	t.Helper()
	requireNode(t)
	w := &workspace{t: t, folder: filepath.Join(t.TempDir(), "typescript"), program: filepath.Join(t.TempDir(), "watchword")}
	for _, name := range []string{"src", "scripts", "test", "types-test"} {
		must(t, os.CopyFS(filepath.Join(w.folder, name), os.DirFS(name)))
	}
	for _, name := range []string{"package.json", "package-lock.json", "tsconfig.json", "README.md", "LICENSE", "../../docs/ten-minutes.md", "../../docs/testing.md"} {
		text, err := os.ReadFile(name)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(w.folder, filepath.Base(name)), text, 0o600))
	}
	if out, err := w.command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline").CombinedOutput(); err != nil {
		t.Skipf("npm packages cannot be fetched here, so the TypeScript client was NOT tested: %v %.300s", err, out)
	}
	build := exec.CommandContext(t.Context(), "go", append(buildFlags(), "-o", w.program, "../../cmd/watchword")...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	w.run("node", "scripts/build.mjs")
	return w
}

// buildFlags builds with the race detector if the test has it, so that no package is compiled twice.
func buildFlags() []string {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return []string{"build", "-race"}
	}
	return []string{"build"}
}

func requireNode(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed, so the TypeScript client was NOT tested", tool)
		}
	}
	const recent = `process.exit(typeof AbortSignal.any === "function" && process.versions.node.split(".")[0] >= 20 ? 0 : 1)`
	if exec.CommandContext(t.Context(), "node", "-e", recent).Run() != nil {
		t.Skip("node is older than 20.3, so the TypeScript client was NOT tested")
	}
}

func (w *workspace) command(name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(w.t.Context(), 4*time.Minute)
	w.t.Cleanup(cancel)
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = w.folder
	c.Env = append(os.Environ(), "WATCHWORD="+w.program, "TEN_MINUTES="+filepath.Join(w.folder, "ten-minutes.md"))
	return c
}

func (w *workspace) run(name string, args ...string) string {
	w.t.Helper()
	out, err := w.command(name, args...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTypeScriptClientAgainstDevelopmentServer(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	out := w.run("node", "--test", "test/client.test.mjs", "test/testing.test.mjs", "test/offline.test.mjs", "test/package.test.mjs")
	if passed := regexp.MustCompile(`(?m)^# pass ([1-9]\d+)$`).MatchString(out); !passed || !strings.Contains(out, "\n# skipped 0\n") {
		t.Errorf("not all tests ran:\n%s", out)
	}
	t.Run("events of the server", w.verifyPostedEvents)
	t.Run("ten minutes", func(t *testing.T) {
		switch out := w.run("node", "--test", "test/ten-minutes.test.mjs"); {
		case strings.Contains(out, "\n# skipped 1\n"):
			t.Skipf("docs/ten-minutes.md was NOT followed: %s", out)
		case !strings.Contains(out, "\n# pass 1\n"):
			t.Errorf("docs/ten-minutes.md was not followed:\n%s", out)
		}
	})
}

// The runtimes are large, so only `make runtimes` fetches them.
func TestTypeScriptClientRunsOnDenoAndBun(t *testing.T) {
	if os.Getenv("WATCHWORD_RUNTIMES") == "" {
		t.Skip("Deno and Bun are fetched and run by `make runtimes`")
	}
	w := newWorkspace(t)
	if out, err := w.command("npm", "install", "--no-save", "--no-audit", "--no-fund", "deno@2.9.6", "bun@1.4.5").CombinedOutput(); err != nil {
		t.Skipf("Deno and Bun cannot be fetched here, so the client was NOT run on them: %v %.300s", err, out)
	}
	w.run("node", "node_modules/deno/install.cjs") // npm does not run their scripts by itself
	w.run("node", "node_modules/bun/install.js")
	for _, runtime := range [][]string{{"node"}, {"node_modules/.bin/bun"}, {"node_modules/.bin/deno", "run", "--allow-net", "--allow-env"}} {
		args := append(runtime[1:], "test/runtime.mjs")
		if out := w.run("node", append([]string{"test/with-server.mjs", runtime[0]}, args...)...); !strings.HasSuffix(out, "verified\n") {
			t.Errorf("%v: %s", runtime, out)
		}
	}
}

// The package has a copy, because npm packs only what is below its folder.
func TestScriptForPasskeysIsThatOfTheServer(t *testing.T) {
	t.Parallel()
	own, err := os.ReadFile("src/webauthn.js")
	must(t, err)
	served, err := os.ReadFile("../../webauthn/webauthn.js")
	must(t, err)
	if !bytes.Equal(own, served) {
		t.Error("src/webauthn.js is another script than webauthn/webauthn.js: copy it")
	}
}

func TestEventTypesAreThoseOfTheEngine(t *testing.T) {
	t.Parallel()
	types := func(file, begin, end string, name *regexp.Regexp) (out []string) {
		text, err := os.ReadFile(file)
		must(t, err)
		_, rest, _ := strings.Cut(string(text), begin)
		block, _, _ := strings.Cut(rest, end)
		for _, m := range name.FindAllStringSubmatch(block, -1) {
			out = append(out, m[1])
		}
		slices.Sort(out)
		return out
	}
	ours := types("src/events.ts", "eventTypes = [", "]", regexp.MustCompile(`"([a-z_.]+)"`))
	engines := types("../../events.go", "const (", "\n)", regexp.MustCompile(`Event\w+\s*= "([a-z_.]+)"`))
	if len(engines) == 0 || !slices.Equal(ours, engines) {
		t.Errorf("events.ts has %v, the engine %v", ours, engines)
	}
}
