// Package node_test runs the examples for Node.js as somebody does who has cloned the repository: with their one command.
package node_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/freeport"
)

// A site is an example that runs, and the development server that it uses.
type site struct {
	t      *testing.T
	url    string // of the example
	server string // of watchword
	swap   *receiptSwap
}

const eventSecret = "whsec_c2VjcmV0IG9mIHRoZSBleGFtcGxlcycgdGVzdHM=" // of the endpoint of events

// newSite copies what an example needs of the repository, installs its packages and starts it with `npm start`, together with a server.
func newSite(t *testing.T, example string) *site {
	t.Helper()
	requireNode(t)
	folder := copyExample(t, example)
	if out, err := command(t, folder, "npm", "install", "--no-audit", "--no-fund", "--prefer-offline").CombinedOutput(); err != nil {
		if strings.Contains(string(out), "error TS") {
			t.Fatalf("npm install: %s", out)
		}
		t.Skipf("npm packages cannot be fetched here, so examples/%s was NOT tested: %v %.300s", example, err, out)
	}
	_, port, _ := net.SplitHostPort(freeport.Address(t))
	s := &site{t: t, url: "http://localhost:" + port}
	s.swap = newReceiptSwap(t)
	s.server = s.swap.url
	s.swap.startServer(t, s.url)
	s.startExample(folder, port)
	return s
}

// requireExamples skips a test without `make examples`: installing and building takes a minute for each example.
func requireExamples(t *testing.T) {
	t.Helper()
	if os.Getenv("WATCHWORD_EXAMPLES") == "" {
		t.Skip("the examples for Node.js are built and run by `make examples`")
	}
}

func requireNode(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed, so the examples for Node.js were NOT tested", tool)
		}
	}
	if exec.CommandContext(t.Context(), "node", "-e", `process.exit(+process.versions.node.split(".")[0] >= 20 ? 0 : 1)`).Run() != nil {
		t.Skip("node is older than 20, so the examples for Node.js were NOT tested")
	}
}

// copyExample copies an example and what its scripts take from the clone, without what was installed or built there.
func copyExample(t *testing.T, example string) string {
	t.Helper()
	clone := t.TempDir()
	for _, folder := range []string{"examples/" + example, "examples/node", "examples/style", "clients/typescript"} {
		made := func(path string) bool {
			return slices.Contains([]string{"node_modules", "dist", ".next"}, filepath.Base(path))
		}
		must(t, filepath.WalkDir(filepath.Join("../..", folder), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() && made(path) {
				return filepath.SkipDir
			}
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			to := filepath.Join(clone, strings.TrimPrefix(filepath.ToSlash(path), "../../"))
			if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
				return err
			}
			return os.WriteFile(to, text, 0o600)
		}))
	}
	return filepath.Join(clone, "examples", example)
}

// command returns a command in a folder, with an environment without the settings of watchword's server. It ends with the test, and
// with it all that it has started.
func command(t *testing.T, folder, name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = folder
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = 10 * time.Second
	c.Env = slices.DeleteFunc(os.Environ(), func(setting string) bool { return strings.HasPrefix(setting, "WATCHWORD_") })
	t.Cleanup(func() {
		cancel()
		if c.ProcessState == nil && c.Process != nil {
			_ = c.Wait()
		}
	})
	return c
}

// startServer builds the server, and starts it with a public URL for an app at an origin. It returns the URL at which it listens.
func startServer(t *testing.T, publicURL, origin string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "watchword")
	build := []string{"build", "-o", program, "../../cmd/watchword"}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		build = slices.Insert(build, 1, "-race") // so that no package is compiled twice
	}
	if out, err := exec.CommandContext(t.Context(), "go", build...).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	c := command(t, t.TempDir(), program, "serve", "--dev", "--dev-no-limits", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--public-url", publicURL, "--return-url", origin)
	log, err := c.StderrPipe()
	must(t, err)
	must(t, c.Start())
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var line struct{ Msg, Addr string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			go func() {
				for lines.Scan() {
				}
			}()
			_, port, _ := net.SplitHostPort(line.Addr)
			return "http://localhost:" + port
		}
	}
	t.Fatal("the server does not start")
	return ""
}

// startExample runs `npm start`, and waits until the example responds.
func (s *site) startExample(folder, port string) {
	s.t.Helper()
	c := command(s.t, folder, "npm", "start")
	c.Env = append(c.Env, "PORT="+port, "ORIGIN="+s.url, "WATCHWORD_URL="+s.server, "EVENT_SECRET="+eventSecret)
	output := filepath.Join(s.t.TempDir(), "output")
	file, err := os.Create(output)
	must(s.t, err)
	s.t.Cleanup(func() { _ = file.Close() })
	c.Stdout, c.Stderr = file, file
	must(s.t, c.Start())
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	s.t.Cleanup(func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		<-ended
		if s.t.Failed() || testing.Verbose() {
			text, _ := os.ReadFile(output)
			s.t.Logf("npm start:\n%s", text)
		}
	})
	for until := time.Now().Add(4 * time.Minute); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		res, err := http.Get(s.url)
		if err == nil {
			_ = res.Body.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			s.t.Fatalf("npm start has ended: %v", err)
		default:
		}
	}
	s.t.Fatal("the example does not respond")
}

// A message is one in the inbox of the server.
type message struct{ Code, Link string }

// message waits for the nth message to an address.
func (s *site) message(to string, n int) message {
	s.t.Helper()
	for until := time.Now().Add(90 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if found := s.messages(to); len(found) >= n {
			return found[len(found)-n]
		}
	}
	s.t.Fatalf("there is no message number %d to %s", n, to)
	return message{}
}

// messages returns the messages to an address, the newest first.
func (s *site) messages(to string) (found []message) {
	s.t.Helper()
	res, err := http.Get(s.server + "/inbox/messages?to=" + to)
	must(s.t, err)
	defer func() { _ = res.Body.Close() }()
	must(s.t, json.NewDecoder(res.Body).Decode(&found))
	return found
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
