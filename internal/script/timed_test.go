package script_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/internal/script"
)

func TestTimedScriptReturnsTheReplyOfItsBody(t *testing.T) {
	client := redistest.Start(t).Client(t)
	clocks := script.NewClocks(client)
	run := func(body string, args ...any) (any, error) {
		return script.NewTimed(body).Run(t.Context(), clocks, client, []string{"k"}, args...)
	}
	if got, err := run(`return ARGV[1] .. #ARGV`, "x"); err != nil || got != "x1" {
		t.Errorf("a text: %v, %v", got, err)
	}
	if got, err := run(`return 'in two ', 'parts'`); err != nil || got != "in two parts" {
		t.Errorf("a text and its rest: %v, %v", got, err)
	}
	if got, err := run(`return nil`); !errors.Is(err, redis.Nil) {
		t.Errorf("nothing: %v, %v", got, err)
	}
	if _, err := run(`return redis.error_reply('ERR as it was')`); err == nil || err.Error() != "ERR as it was" || script.MayHaveRun(err) {
		t.Errorf("an error: %v", err)
	}
	if got, err := run(`return {1, 'two'}`); err != nil || len(got.([]any)) != 2 {
		t.Errorf("a list: %v, %v", got, err)
	}
	before := time.Now().UnixMicro()
	if got, err := run(`return now`); err != nil || got.(int64) < before || got.(int64) > time.Now().UnixMicro() {
		t.Errorf("the time: %v, %v", got, err)
	}
	hook := &scriptCounter{}
	client.AddHook(hook)
	for range 3 {
		if _, err := run(`return now`); err != nil {
			t.Error(err)
		}
	}
	if hook.commands != 3 {
		t.Errorf("%d commands for three runs", hook.commands)
	}
}

// A paused server receives commands and executes them when it continues.
func TestTimedScriptDoesNothingAfterItsDeadline(t *testing.T) {
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, ReadTimeout: time.Second, MaxRetries: -1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	clocks, timed := script.NewClocks(client), script.NewTimed(count)
	if got, err := timed.Run(t.Context(), clocks, client, []string{"k"}); err != nil || got != int64(1) {
		t.Fatalf("%v, %v", got, err)
	}
	for name, limit := range map[string]time.Duration{"the client's time-out": time.Minute, "the context": 50 * time.Millisecond} {
		if err := client.Ping(t.Context()).Err(); err != nil { // connects
			t.Fatal(err)
		}
		if err := server.Pause(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		_, err := timed.Run(ctx, clocks, client, []string{"k"})
		cancel()
		if err == nil || !script.MayHaveRun(err) {
			t.Errorf("%s: a server that stands still: %v", name, err)
		}
		if err := server.Resume(); err != nil {
			t.Fatal(err)
		}
		if n, err := server.Client(t).Get(t.Context(), "k").Int(); n != 1 || err != nil {
			t.Errorf("%s: counted to %d, %v", name, n, err)
		}
	}
	if got, err := timed.Run(t.Context(), clocks, client, []string{"k"}); err != nil || got != int64(2) {
		t.Errorf("afterwards: %v, %v", got, err)
	}
}

// After a failover the new server's clock may differ by any time.
func TestTimedScriptLearnsTheClockOfANewServer(t *testing.T) {
	first, second := redistest.Start(t), redistest.Start(t)
	at := first.Addr
	client := redis.NewClient(&redis.Options{Addr: "main:6379", MaxRetries: -1,
		Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, at)
		}})
	t.Cleanup(func() { _ = client.Close() })
	clocks, timed := script.NewClocks(client), script.NewTimed(count)
	if _, err := timed.Run(t.Context(), clocks, client, []string{"k"}); err != nil {
		t.Fatal(err)
	}
	first.Stop()
	at = second.Addr
	hook := &scriptCounter{}
	client.AddHook(hook)
	for hook.commands == 0 || second.Client(t).Exists(t.Context(), "k").Val() == 0 {
		if _, err := timed.Run(t.Context(), clocks, client, []string{"k"}); err != nil && hook.commands > 20 {
			t.Fatal(err)
		}
	}
	if n, err := second.Client(t).Get(t.Context(), "k").Int(); n != 1 || err != nil {
		t.Errorf("counted to %d, %v", n, err)
	}
}

func TestMayHaveRunIsFalseForUnsentCommands(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = client.Close() })
	_, err := script.NewTimed(count).Run(t.Context(), script.NewClocks(client), client, []string{"k"})
	if err == nil || script.MayHaveRun(err) {
		t.Errorf("a closed port: %v", err)
	}
	if script.MayHaveRun(nil) || script.MayHaveRun(script.ErrTooLate) || !script.MayHaveRun(net.ErrClosed) {
		t.Error("nothing, too late, or a broken connection")
	}
}
