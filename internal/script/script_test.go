package script_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/internal/script"
)

// count increments a key and returns it.
const count = `return redis.call('INCR', KEYS[1])`

// countTwo reads a second key before.
const countTwo = `redis.call('GET', KEYS[2]); return redis.call('INCR', KEYS[1])`

func TestRunSendsScriptOnce(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client(t)
	counter := script.New(count)
	hook := &scriptCounter{}
	client.AddHook(hook)
	for n := int64(1); n <= 3; n++ {
		got, err := counter.Run(t.Context(), client, []string{"k"})
		if err != nil || got != n {
			t.Fatalf("run %d: %v, %v", n, got, err)
		}
	}
	if hook.commands != 4 {
		t.Errorf("%d commands for three runs; the first needs two", hook.commands)
	}
	if err := client.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := counter.Run(t.Context(), client, []string{"k"}); err != nil || got != int64(4) {
		t.Errorf("after the server forgot the script: %v, %v", got, err)
	}
	if _, err := script.New(`return redis.error_reply('ERR as it was')`).Run(t.Context(), client, nil); err == nil || err.Error() != "ERR as it was" {
		t.Errorf("a script's error: %v", err)
	}
	if got, err := script.New(`return nil`).Run(t.Context(), client, nil); !errors.Is(err, redis.Nil) {
		t.Errorf("a script's nothing: %v, %v", got, err)
	}
}

// The connection is lost after the server has run the script, which must not run again. go-redis' own Eval runs twice in the
// same test, so the proxy works.
func TestLostReplyDoesNotRepeatTheScript(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr)
	client := redis.NewClient(&redis.Options{Addr: proxy.Addr, ReadTimeout: patience}) // retries, as it comes
	t.Cleanup(func() { _ = client.Close() })
	direct := server.Client(t)
	counter := script.New(count)
	if _, err := counter.Run(t.Context(), client, []string{"k"}); err != nil {
		t.Fatal(err)
	}

	proxy.CutNext("evalsha")
	if got, err := counter.Run(t.Context(), client, []string{"k"}); err == nil {
		t.Errorf("no error though the reply was lost: %v", got)
	}
	if n, err := direct.Get(t.Context(), "k").Int(); n != 2 || err != nil || proxy.Cuts() != 1 {
		t.Errorf("counted %d in two runs of which one was cut off (%d cuts, %v)", n, proxy.Cuts(), err)
	}
	proxy.CutNext("incr")
	if _, err := script.Do(t.Context(), client, "incr", "k"); err == nil {
		t.Error("no error though a command's reply was lost")
	}
	if n, err := direct.Get(t.Context(), "k").Int(); n != 3 || err != nil {
		t.Errorf("counted %d after a command that was cut off (%v)", n, err)
	}

	proxy.CutNext("eval")
	if err := client.Eval(t.Context(), count, []string{"k"}).Err(); err != nil {
		t.Fatal(err)
	}
	if n, _ := direct.Get(t.Context(), "k").Int(); n != 5 {
		t.Errorf("go-redis' own Eval counted to %d, not 5: the cut shows nothing", n)
	}
}

func TestRunOnCluster(t *testing.T) {
	cluster := redistest.StartCluster(t)
	t.Run("a cut connection", func(t *testing.T) { testLostReplyOnCluster(t, cluster) })
	t.Run("redirections", func(t *testing.T) { testRedirections(t, cluster) })
	t.Run("TRYAGAIN ends", func(t *testing.T) { testTryAgainEnds(t, cluster) })
}

func testLostReplyOnCluster(t *testing.T, cluster *redistest.Cluster) {
	proxies := map[string]*redistest.Proxy{}
	for _, node := range cluster.Nodes {
		proxies[node.Addr] = redistest.StartProxy(t, node.Addr)
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{cluster.Nodes[0].Addr}, MaxRetries: 3, ReadTimeout: patience,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, proxies[addr].Addr)
		}})
	t.Cleanup(func() { _ = client.Close() })
	owner, err := cluster.SlotOwner(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	counter := script.New(count)
	if _, err := counter.Run(t.Context(), client, []string{"k"}); err != nil {
		t.Fatal(err)
	}
	proxies[owner.Addr].CutNext("evalsha")
	if got, err := counter.Run(t.Context(), client, []string{"k"}); err == nil {
		t.Errorf("no error though the reply was lost: %v", got)
	}
	if n, err := cluster.Client(t).Get(t.Context(), "k").Int(); n != 2 || err != nil || proxies[owner.Addr].Cuts() != 1 {
		t.Errorf("counted %d in two runs of which one was cut off (%v)", n, err)
	}
}

// A command that is not repeatable still follows its key to another node.
func testRedirections(t *testing.T, cluster *redistest.Cluster) {
	ctx := t.Context()
	client := cluster.Client(t)
	counter, two := script.New(count), script.New(countTwo)
	run := func(s *script.Script, want int64, keys ...string) {
		t.Helper()
		if got, err := s.Run(ctx, client, keys); err != nil || got != want {
			t.Fatalf("got %v, %v, want %d", got, err, want)
		}
	}
	from, err := cluster.SlotOwner(ctx, "{slot}")
	if err != nil {
		t.Fatal(err)
	}
	to := cluster.OtherNode(from)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	run(counter, 1, "{slot}")
	run(counter, 1, "{slot}other")

	must(cluster.BeginSlotMove(ctx, "{slot}", from, to))
	must(cluster.MoveKeys(ctx, from, to, "{slot}"))
	run(counter, 2, "{slot}") // ASK, to a node that does not know the script yet
	run(counter, 3, "{slot}") // ASK
	run(counter, 2, "{slot}other")

	hook := &scriptCounter{seen: make(chan struct{}, 100)}
	client.AddHook(hook)
	done := make(chan error, 1)
	go func() { // one key is here, the other there: TRYAGAIN, until both have moved
		_, err := two.Run(ctx, client, []string{"{slot}other", "{slot}"})
		done <- err
	}()
	<-hook.seen
	must(cluster.MoveKeys(ctx, from, to, "{slot}other"))
	must(cluster.FinishSlotMove(ctx, "{slot}", to))
	must(<-done)
	run(counter, 4, "{slot}other") // MOVED
	run(counter, 4, "{slot}")
}

// A script is not repeated for ever after TRYAGAIN.
func testTryAgainEnds(t *testing.T, cluster *redistest.Cluster) {
	ctx, client := t.Context(), cluster.Client(t)
	from, err := cluster.SlotOwner(ctx, "{last}")
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Set(ctx, "{last}", 1, time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	if err := cluster.BeginSlotMove(ctx, "{last}", from, cluster.OtherNode(from)); err != nil {
		t.Fatal(err)
	}
	_, err = script.New(countTwo).Run(ctx, client, []string{"{last}", "{last}none"})
	if !redis.HasErrorPrefix(err, "TRYAGAIN") {
		t.Errorf("a key that is nowhere while its slot moves: %v", err)
	}
}

// scriptCounter is a hook that counts scripts.
type scriptCounter struct {
	mu       sync.Mutex
	commands int
	seen     chan struct{}
}

func (c *scriptCounter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *scriptCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if name := cmd.Name(); name != "evalsha" && name != "eval" { // a new connection's greetings
			return err
		}
		c.mu.Lock()
		c.commands++
		c.mu.Unlock()
		if c.seen != nil {
			c.seen <- struct{}{}
		}
		return err
	}
}

func (c *scriptCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
