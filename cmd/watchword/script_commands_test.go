package main

import (
	"bufio"
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

// A scriptState holds the servers of one script.
type scriptState struct {
	servers  map[string]*scriptServer
	receiver *blockingReceiver
	redis    *redistest.Server // at $REDIS
	replica  *redistest.Server // of redis
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

// testTimeout is how long tests wait for a condition. It is long, because it ends only tests that fail.
const testTimeout = 90 * time.Second

// serveInScript implements serve NAME ARGUMENTS...: it runs `watchword serve ARGUMENTS`, waits until the server listens, and sets
// $NAME to its URL. NAME.out gets its output, NAME.log its log. With !, the server must exit without listening.
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
		ts.Fatalf("serve %s: neither listens nor exits", name)
	}
}

// follow copies the log to a file, and sends the address on which the server listens. It closes listening when the server has
// exited.
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

// scriptEnvironment returns the program's environment variables that the script has set.
func scriptEnvironment(ts *testscript.TestScript) (env []string) {
	env = append(env, "SSL_CERT_FILE="+ts.Getenv("SSL_CERT_FILE"))
	for _, o := range append(options(), option{env: "WATCHWORD_CONFIG"}) {
		for _, name := range []string{o.env, o.env + "_FILE"} {
			if value := ts.Getenv(name); value != "" {
				env = append(env, name+"="+value)
			}
		}
	}
	return env
}

// endInScript implements end NAME [release]: it sends the server SIGTERM and waits until it exits with status 0. With release, the
// webhook receiver answers the requests that it holds as soon as the server refuses connections.
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
		ts.Fatalf("end %s: the server does not exit", args[0])
	}
}

// A blockingReceiver is a webhook receiver that answers when release is closed.
type blockingReceiver struct {
	*httptest.Server
	release chan struct{}
	arrived chan struct{} // one for each request
	served  atomic.Int64
}

// receiverInScript implements three commands: receiver starts a blockingReceiver at $RECEIVER; receiver wait waits for a request;
// receiver served N checks how many requests it has answered.
func receiverInScript(ts *testscript.TestScript, _ bool, args []string) {
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
		ts.Setenv("RECEIVER", strings.TrimPrefix(s.URL, "http://"))
		b.receiver = s
	case args[0] == "wait":
		select {
		case <-b.receiver.arrived:
		case <-time.After(testTimeout):
			ts.Fatalf("receiver: no request arrived")
		}
	default:
		if n := strconv.FormatInt(b.receiver.served.Load(), 10); n != args[1] {
			ts.Fatalf("receiver: %s requests served, not %s", n, args[1])
		}
	}
}

// waitForRefusal waits until the server refuses connections.
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
	ts.Fatalf("the server still accepts connections")
}

// redisInScript implements redis [ARGUMENTS...]: it starts a redis-server at $REDIS_ADDR, and sets $REDIS to its URL.
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

// replicaInScript implements two commands: replica starts a replica of the redis-server at $REDIS and waits until it is in sync;
// replica end stops the replica and waits until the redis-server has noticed.
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

// redisCLIInScript implements rediscli COMMAND...: it sends a command to the redis-server at $REDIS.
func redisCLIInScript(ts *testscript.TestScript, _ bool, args []string) {
	command := make([]any, len(args))
	for i, arg := range args {
		command[i] = arg
	}
	_, err := stateOf(ts).redis.Do(context.Background(), command...)
	ts.Check(err)
}

// awaitReadyInScript implements awaitready NAME STATUS [TEXT]: it waits until a server answers /readyz with the status, and a body
// that contains the text.
func awaitReadyInScript(ts *testscript.TestScript, _ bool, args []string) {
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
	ts.Fatalf("awaitready %s: the last reply was %s", args[0], last)
}

// awaitLogInScript implements awaitlog NAME N TEXT: it waits until N lines of a server's log contain the text.
func awaitLogInScript(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	for until := time.Now().Add(testTimeout); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if strings.Count(ts.ReadFile(args[0]+".log"), args[2]) >= want {
			return
		}
	}
	ts.Fatalf("awaitlog %s: there are no %d lines with %q:\n%s", args[0], want, args[2], ts.ReadFile(args[0]+".log"))
}

// keepInScript implements keep NAME PATH: it sets $NAME to the value at a path (such as a.0.b) of the JSON document in stdout.
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
				ts.Fatalf("keep: no value at %s", args[1])
			}
			at = value[n]
		}
	}
	if at == nil {
		ts.Fatalf("keep: no value at %s", args[1])
	}
	ts.Setenv(args[0], fmt.Sprint(at))
}
