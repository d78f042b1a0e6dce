package redistest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword/internal/freeport"
)

// slots is the number of hash slots of a Redis Cluster.
const slots = 16384

// A Cluster is three masters without replicas, each with a third of the slots.
type Cluster struct{ Nodes [3]*Server }

// StartCluster runs a Cluster until the test ends. args are passed to redis-server.
func StartCluster(t testing.TB, args ...string) *Cluster {
	t.Helper()
	c, err := RunCluster(t.TempDir, args...)
	skipOrFail(t, err)
	t.Cleanup(c.Stop)
	return c
}

// RunCluster starts a Cluster. dir returns a new directory for each node. The caller must call Stop.
func RunCluster(dir func() string, args ...string) (*Cluster, error) {
	c := &Cluster{}
	for i := range c.Nodes {
		bus, err := c.run(i, dir(), args)
		if err == nil {
			err = c.join(i, bus)
		}
		if err != nil {
			c.Stop()
			return nil, err
		}
	}
	if err := c.awaitReady(); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// nodeTimeout is how long a node may be silent, in ms, until the others take it for failed. On a busy machine a node that has not failed
// may be silent for seconds.
const nodeTimeout = "60000"

// run starts a node and returns its port for other nodes.
func (c *Cluster) run(i int, dir string, args []string) (bus int, err error) {
	c.Nodes[i], err = run(dir, func(port int) []string {
		bus, _ = freeport.Find() // not port+10000, the default, which an outgoing connection may have
		own := []string{"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus), "--cluster-node-timeout", nodeTimeout}
		return slices.Concat(serverArgs(port, dir), own, args)
	})
	return bus, err
}

// join assigns a node its slots and introduces it to the nodes before it.
func (c *Cluster) join(i, bus int) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	n := len(c.Nodes)
	commands := [][]any{
		{"cluster", "addslotsrange", i * slots / n, (i+1)*slots/n - 1},
		{"cluster", "set-config-epoch", i + 1},
	}
	for _, command := range commands {
		if _, err := c.Nodes[i].Do(ctx, command...); err != nil {
			return err
		}
	}
	for _, node := range c.Nodes[:i] {
		if _, err := node.Do(ctx, "cluster", "meet", "127.0.0.1", c.Nodes[i].port, bus); err != nil {
			return err
		}
	}
	return nil
}

// awaitReady waits until every node knows all slots and nodes.
func (c *Cluster) awaitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return poll(ctx, func() error {
		for _, node := range c.Nodes {
			info, err := node.Do(ctx, "cluster", "info")
			if err != nil {
				return err
			}
			text := fmt.Sprint(info)
			if !strings.Contains(text, "cluster_state:ok") || !strings.Contains(text, "cluster_known_nodes:3") || !strings.Contains(text, "cluster_size:3") {
				return fmt.Errorf("the cluster is not complete yet: %s", text)
			}
		}
		return nil
	})
}

// Stop ends all nodes. It may be called again.
func (c *Cluster) Stop() {
	for _, node := range c.Nodes {
		if node != nil {
			node.Stop()
		}
	}
}

// URL returns the cluster's redis+cluster:// URL.
func (c *Cluster) URL() string {
	return "redis+cluster://" + c.Nodes[0].Addr + "?addr=" + c.Nodes[1].Addr + "&addr=" + c.Nodes[2].Addr
}

// Client returns a client that is closed when the test ends.
func (c *Cluster) Client(t testing.TB) *redis.ClusterClient {
	t.Helper()
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.addrs(), DialerRetries: 1, ContextTimeoutEnabled: true,
		DialTimeout: patience, ReadTimeout: patience, WriteTimeout: patience, PoolTimeout: patience})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func (c *Cluster) addrs() (addrs []string) {
	for _, node := range c.Nodes {
		addrs = append(addrs, node.Addr)
	}
	return addrs
}
