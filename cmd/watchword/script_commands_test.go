package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// scriptState is what runs beside one script.
type scriptState struct {
	servers  map[string]*scriptServer
	receiver *blockingReceiver
	redis    *redistest.Server // the one at $REDIS
	replica  *redistest.Server // of it
}

type scriptStateKey struct{}

func stateOf(ts *testscript.TestScript) *scriptState {
	return ts.Value(scriptStateKey{}).(*scriptState)
}

// A scriptServer is a watchword serve that a script started.
type scriptServer struct {
	cmd    *exec.Cmd
	exited chan error
}

// testTimeout is how long anything may take before a script gives up.
const testTimeout = 30 * time.Second

// serveInScript: serve NAME ARGUMENTS... runs `watchword serve ARGUMENTS`, waits until it says that it listens, and sets
// $NAME to its URL. What it prints is in NAME.out, its log in NAME.log. With !, it must exit without listening.
func serveInScript(ts *testscript.TestScript, neg bool, args []string) {
	name := args[0]
	stdout, err := os.Create(ts.MkAbs(name + ".out"))
	ts.Check(err)
	p := &scriptServer{cmd: exec.Command("watchword", append([]string{"serve"}, args[1:]...)...), exited: make(chan error, 1)}
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Env = append(os.Environ(), scriptEnvironment(ts)...)
	p.cmd.Stdout = stdout
	log, err := p.cmd.StderrPipe()
	ts.Check(err)
	ts.Check(p.cmd.Start())
	ts.Defer(func() { _ = p.cmd.Process.Kill() })
	listening := make(chan string, 1)
	go p.follow(log, ts.MkAbs(name+".log"), listening)
	select {
	case addr, ok := <-listening:
		if ok == neg {
			ts.Fatalf("serve %s: listening %t at %q; see %s.log:\n%s", name, ok, addr, name, ts.ReadFile(name+".log"))
		}
		ts.Setenv(name, "http://"+addr)
		stateOf(ts).servers[name] = p
	case <-time.After(testTimeout):
		ts.Fatalf("serve %s: neither listens nor ends", name)
	}
}

// follow copies the log to a file and finds the line that says where the server listens. It closes listening when the
// server has ended without it.
func (p *scriptServer) follow(log io.Reader, path string, listening chan<- string) {
	file, err := os.Create(path)
	if err != nil {
		panic(err)
	}
	for lines := bufio.NewScanner(log); lines.Scan(); {
		_, _ = file.Write(append(lines.Bytes(), '\n'))
		var line struct{ Msg, Addr string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			listening <- line.Addr
		}
	}
	_ = file.Close()
	p.exited <- p.cmd.Wait()
	close(listening)
}

// scriptEnvironment is what the script has set of the program's own variables.
func scriptEnvironment(ts *testscript.TestScript) (env []string) {
	for _, o := range append(options(), option{env: "WATCHWORD_CONFIG"}) {
		for _, name := range []string{o.env, o.env + "_FILE"} {
			if value := ts.Getenv(name); value != "" {
				env = append(env, name+"="+value)
			}
		}
	}
	return env
}

// endInScript: end NAME [released] sends the server a SIGTERM and waits for its end, which must be a good one. With
// released, the sink lets go of what it holds after the signal.
func endInScript(ts *testscript.TestScript, neg bool, args []string) {
	p := stateOf(ts).servers[args[0]]
	if p == nil {
		ts.Fatalf("end: no server is called %s", args[0])
	}
	ts.Check(p.cmd.Process.Signal(syscall.SIGTERM))
	if len(args) > 1 {
		stateOf(ts).receiver.waitForRefusal(ts, ts.Getenv(args[0]))
		close(stateOf(ts).receiver.release)
	}
	select {
	case err := <-p.exited:
		if (err != nil) != neg {
			ts.Fatalf("end %s: %v", args[0], err)
		}
	case <-time.After(testTimeout):
		ts.Fatalf("end %s: it goes on", args[0])
	}
}

// A blockingReceiver takes webhooks and answers them only when it is let go.
type blockingReceiver struct {
	*httptest.Server
	release chan struct{}
	arrived chan struct{} // one for each request
	served  atomic.Int64
}

// sinkInScript: sink starts a receiver of webhooks, at $SINK, that holds each of them; sink came waits for one; sink
// served N says how many were answered.
func sinkInScript(ts *testscript.TestScript, _ bool, args []string) {
	b := stateOf(ts)
	switch {
	case len(args) == 0:
		s := &blockingReceiver{release: make(chan struct{}), arrived: make(chan struct{}, 100)}
		s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			s.arrived <- struct{}{}
			<-s.release
			s.served.Add(1)
			w.WriteHeader(http.StatusNoContent)
		}))
		ts.Defer(s.Close)
		ts.Setenv("SINK", strings.TrimPrefix(s.URL, "http://"))
		b.receiver = s
	case args[0] == "came":
		select {
		case <-b.receiver.arrived:
		case <-time.After(testTimeout):
			ts.Fatalf("sink: nothing came")
		}
	default:
		if n := strconv.FormatInt(b.receiver.served.Load(), 10); n != args[1] {
			ts.Fatalf("sink: %s served, not %s", n, args[1])
		}
	}
}

// waitForRefusal waits until the server takes no new connections.
func (s *blockingReceiver) waitForRefusal(ts *testscript.TestScript, url string) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for until := time.Now().Add(testTimeout); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		res, err := client.Get(url + "/readyz")
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			_ = res.Body.Close()
		}
	}
	ts.Fatalf("the server goes on taking connections")
}

// redisInScript: redis [ARGUMENTS...] starts a redis-server, whose URL is $REDIS, at $REDIS_ADDR.
func redisInScript(ts *testscript.TestScript, _ bool, args []string) {
	dir, err := os.MkdirTemp(ts.Getenv("WORK"), "redis")
	ts.Check(err)
	server, err := redistest.Run(dir, args...)
	ts.Check(err)
	ts.Defer(server.Stop)
	ts.Setenv("REDIS", server.URL())
	ts.Setenv("REDIS_ADDR", server.Addr)
	stateOf(ts).redis = server
}

// replicaInScript: replica starts a replica of the redis-server at $REDIS and waits until it has what is written there;
// replica end stops it and waits until the server has noticed.
func replicaInScript(ts *testscript.TestScript, _ bool, args []string) {
	b := stateOf(ts)
	if len(args) > 0 {
		b.replica.Stop()
		ts.Check(b.redis.AwaitNoReplica(context.Background()))
		return
	}
	dir, err := os.MkdirTemp(ts.Getenv("WORK"), "replica")
	ts.Check(err)
	host, port := b.redis.HostPort()
	b.replica, err = redistest.Run(dir, "--replicaof", host+" "+port)
	ts.Check(err)
	ts.Defer(b.replica.Stop)
	ts.Check(b.redis.AwaitReplica(context.Background()))
}

// operateInScript: operate COMMAND... sends the redis-server at $REDIS one command of its operator's.
func operateInScript(ts *testscript.TestScript, _ bool, args []string) {
	words := make([]any, len(args))
	for i, word := range args {
		words[i] = word
	}
	_, err := stateOf(ts).redis.Do(context.Background(), words...)
	ts.Check(err)
}

// awaitInScript: await NAME STATUS [TEXT] waits until /readyz of a server is answered so, and says TEXT.
func awaitInScript(ts *testscript.TestScript, _ bool, args []string) {
	var last string
	for until := time.Now().Add(testTimeout); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		res, err := http.Get(ts.Getenv(args[0]) + "/readyz")
		ts.Check(err)
		text, err := io.ReadAll(res.Body)
		ts.Check(errors.Join(err, res.Body.Close()))
		last = fmt.Sprintf("%d %s", res.StatusCode, text)
		if strings.HasPrefix(last, args[1]) && (len(args) < 3 || strings.Contains(last, args[2])) {
			return
		}
	}
	ts.Fatalf("await %s: %s", args[0], last)
}

// keepInScript: keep NAME PATH sets $NAME to what stands at the path (a.0.b) of the JSON document in stdout.
func keepInScript(ts *testscript.TestScript, _ bool, args []string) {
	var at any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &at))
	for _, step := range strings.Split(args[1], ".") {
		switch value := at.(type) {
		case map[string]any:
			at = value[step]
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n >= len(value) {
				ts.Fatalf("keep: there is no %s", args[1])
			}
			at = value[n]
		}
	}
	if at == nil {
		ts.Fatalf("keep: there is no %s", args[1])
	}
	ts.Setenv(args[0], fmt.Sprint(at))
}

// httpMain: http METHOD URL [BODY] prints the status and the body as one JSON document, {"status": 200, "body": ...}.
// The key is dev, or $KEY; what proves who changes factors is $PROOF.
func httpMain() {
	args := os.Args[1:]
	body := ""
	if len(args) > 2 {
		body = args[2]
	}
	req, err := http.NewRequest(args[0], args[1], strings.NewReader(body))
	exitOn(err)
	key := os.Getenv("KEY")
	if key == "" {
		key = "dev"
	}
	req.Header.Set("Authorization", "Bearer "+key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if proof := os.Getenv("PROOF"); proof != "" {
		req.Header.Set("Watchword-Authorization", proof)
	}
	res, err := http.DefaultClient.Do(req)
	exitOn(err)
	text, err := io.ReadAll(res.Body)
	exitOn(err)
	if !json.Valid(text) {
		text, _ = json.Marshal(string(text))
	}
	fmt.Printf("{\"status\": %d, \"body\": %s}\n", res.StatusCode, bytes.TrimSpace(text))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
