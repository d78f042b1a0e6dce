package webhook_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery/webhook"
	"github.com/watchword-auth/watchword/internal/redistest"
)

// A javascriptReceiver is testdata/receiver, which runs in Node.js.
type javascriptReceiver struct {
	t     *testing.T
	stdin io.Writer
	lines chan receiverLine
	url   string
}

type receiverLine struct {
	Port     int
	Ready    bool
	ID       string
	Type     string
	Accepted bool
	Error    string
}

// startJavaScriptReceiver installs the official library and starts the receiver. It skips the test without Node.js or the library.
func startJavaScriptReceiver(t *testing.T) *javascriptReceiver {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed: the JavaScript library of Standard Webhooks is not tried (Debian, Ubuntu: apt-get install nodejs npm)")
		}
	}
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("testdata/receiver")); err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline")
	install.Dir = folder
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("npm cannot install the JavaScript library of Standard Webhooks, which is not tried: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "node", "receiver.mjs")
	cmd.Dir, cmd.Stderr = folder, os.Stderr
	stdin, errIn := cmd.StdinPipe()
	stdout, errOut := cmd.StdoutPipe()
	if errIn != nil || errOut != nil {
		t.Fatal(errIn, errOut)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &javascriptReceiver{t: t, stdin: stdin, lines: make(chan receiverLine, 100)}
	go func() {
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			var line receiverLine
			if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
				t.Error(err)
			}
			r.lines <- line
		}
		_ = cmd.Wait()
	}()
	r.url = fmt.Sprintf("http://127.0.0.1:%d/events", r.next().Port)
	return r
}

func (r *javascriptReceiver) next() receiverLine {
	r.t.Helper()
	select {
	case line := <-r.lines:
		if line.Error != "" {
			r.t.Errorf("the library refuses an event: %s", line.Error)
		}
		return line
	case <-time.After(waitLimit):
		r.t.Fatal("the receiver prints nothing")
		return receiverLine{}
	}
}

// verifyWith makes the receiver verify with a secret, and answer 503 to some requests.
func (r *javascriptReceiver) verifyWith(secret string, failures int) {
	r.t.Helper()
	text, err := json.Marshal(map[string]any{"secret": secret, "failures": failures})
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.stdin.Write(append(text, '\n')); err != nil {
		r.t.Fatal(err)
	}
	for !r.next().Ready { // requests of before
	}
}

func (r *javascriptReceiver) endpoint(secrets string) webhook.Endpoint {
	return webhook.Endpoint{URL: watchword.NewCode(r.url + "?" + secrets), Types: []string{watchword.EventStarted}}
}

// A receiver with the official JavaScript library accepts events after retries, and one that was queued before the secret changed.
func TestQueueSendsEventsThatJavaScriptLibraryAccepts(t *testing.T) {
	redis, r := redistest.Start(t), startJavaScriptReceiver(t)
	p := startProcess(t, redis)
	r.verifyWith(secretA, 2)
	s := p.startDispatcher(r.endpoint("secret=" + secretA))
	p.start()
	first, second, third := r.next(), r.next(), r.next()
	if first.Accepted || second.Accepted || !third.Accepted || first.ID != second.ID || first.ID != third.ID || third.Type != watchword.EventStarted {
		t.Errorf("got %+v, %+v, %+v", first, second, third)
	}
	r.verifyWith(secretA, 1000)
	p.start()
	refused := r.next()
	if err := s.shutDown(t); err != nil {
		t.Error(err)
	}
	r.verifyWith(secretB, 0)
	startProcess(t, redis).startDispatcher(r.endpoint("secret=" + secretB))
	if later := r.next(); later.ID != refused.ID || !later.Accepted {
		t.Errorf("before %+v, with the new secret %+v", refused, later)
	}
}
