package redis

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// freePort asks the system for a port whose cluster bus port is valid too.
func freePort(t testing.TB) int {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if port < 55000 {
			return port
		}
	}
}

// startServer runs a redis-server of its own until the test ends.
func startServer(t testing.TB, extra ...string) (addr string) {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed: apt-get install redis-server")
	}
	port := freePort(t)
	args := append([]string{"--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir()}, extra...)
	cmd := exec.Command(binary, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	addr = fmt.Sprintf("127.0.0.1:%d", port)
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer c.Close()
	eventually(t, func() bool { return c.Ping(context.Background()).Err() == nil })
	return addr
}

// startCluster runs three masters that share the slots.
func startCluster(t testing.TB) (addrs []string) {
	t.Helper()
	ctx := context.Background()
	for range 3 {
		addrs = append(addrs, startServer(t, "--cluster-enabled", "yes"))
	}
	slots := []int{0, 5461, 10923, 16384}
	var nodes []*redis.Client
	for i, addr := range addrs {
		c := redis.NewClient(&redis.Options{Addr: addr})
		defer c.Close()
		nodes = append(nodes, c)
		if err := c.Do(ctx, "cluster", "addslotsrange", slots[i], slots[i+1]-1).Err(); err != nil {
			t.Fatal(err)
		}
		host, port, _ := net.SplitHostPort(addrs[0])
		if err := c.ClusterMeet(ctx, host, port).Err(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool {
		for _, c := range nodes {
			known, err := c.ClusterSlots(ctx).Result()
			if err != nil || len(known) != 3 {
				return false
			}
			if info := c.ClusterInfo(ctx).Val(); len(info) < 16 || info[:16] != "cluster_state:ok" {
				return false
			}
		}
		return true
	})
	return addrs
}

func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	for range 600 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the server did not come up within 30 s")
}

// connect opens one client, as each process would have its own.
func connect(t testing.TB, addrs ...string) redis.UniversalClient {
	t.Helper()
	c := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: addrs, IsClusterMode: len(addrs) > 1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// open makes a store over a client.
func open(t testing.TB, c redis.UniversalClient) *Store {
	t.Helper()
	s, err := New(c, "watchword")
	if err != nil {
		t.Fatal(err)
	}
	return s
}
