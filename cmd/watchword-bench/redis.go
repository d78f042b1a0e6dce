package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// A redisTarget is the Redis of some modes: one server, or the masters of a Cluster.
type redisTarget struct {
	url     string
	clients []*redis.Client // of each node
	stop    func()
}

// startRedis starts one server, or a Cluster.
func startRedis(dir string, cluster bool) (*redisTarget, error) {
	if !cluster {
		s, err := redistest.Run(dir)
		if err != nil {
			return nil, err
		}
		return newRedisTarget(s.URL(), s.Stop, s), nil
	}
	c, err := redistest.RunCluster(func() string {
		node, err := os.MkdirTemp(dir, "node")
		if err != nil {
			return dir
		}
		return node
	})
	if err != nil {
		return nil, err
	}
	return newRedisTarget(c.URL(), c.Stop, c.Nodes[:]...), nil
}

func newRedisTarget(url string, stop func(), nodes ...*redistest.Server) *redisTarget {
	t := &redisTarget{url: url, stop: stop}
	for _, node := range nodes {
		t.clients = append(t.clients, redis.NewClient(&redis.Options{Addr: node.Addr, DisableIdentity: true, Protocol: 2}))
	}
	return t
}

func (t *redisTarget) close() {
	for _, c := range t.clients {
		_ = c.Close()
	}
	t.stop()
}

func (t *redisTarget) addrs() (addrs []string) {
	for _, c := range t.clients {
		addrs = append(addrs, c.Options().Addr)
	}
	return addrs
}

// flush removes all keys. Scripts stay.
func (t *redisTarget) flush(ctx context.Context) error {
	for _, c := range t.clients {
		if err := c.FlushAll(ctx).Err(); err != nil {
			return err
		}
	}
	return nil
}

// A redisUsage is what a node has done since it started.
type redisUsage struct {
	cpu      time.Duration
	commands float64 // those that scripts call included
	reads    float64 // from sockets; commands that were sent together are read together
}

func (u redisUsage) minus(before redisUsage) redisUsage {
	return redisUsage{u.cpu - before.cpu, u.commands - before.commands, u.reads - before.reads}
}

// usage returns the usage of each node.
func (t *redisTarget) usage(ctx context.Context) (nodes []redisUsage, err error) {
	for _, c := range t.clients {
		info, err := c.Info(ctx).Result()
		if err != nil {
			return nil, err
		}
		u, err := parseUsage(info)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, u)
	}
	return nodes, nil
}

// parseUsage reads the usage from the reply to INFO.
func parseUsage(info string) (redisUsage, error) {
	var errs []error
	number := func(name string) float64 {
		_, rest, _ := strings.Cut(info, "\n"+name+":")
		text, _, _ := strings.Cut(rest, "\r\n")
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			errs = append(errs, fmt.Errorf("INFO of Redis has no number %s", name))
		}
		return n
	}
	seconds := number("used_cpu_user") + number("used_cpu_sys")
	u := redisUsage{time.Duration(seconds * float64(time.Second)), number("total_commands_processed"), number("total_reads_processed")}
	return u, errors.Join(errs...)
}

// A commandCount is how often clients sent each command. Scripts are counted by their digests.
type commandCount map[string]int

func (c commandCount) total() (n int) {
	for _, of := range c {
		n += of
	}
	return n
}

// countCommands counts the commands that clients send to all nodes while f runs, with MONITOR, which slows Redis down. Commands
// that scripts call do not count.
func (t *redisTarget) countCommands(ctx context.Context, f func() error) (commandCount, error) {
	counts := make(chan commandCount, len(t.clients))
	for _, c := range t.clients {
		conn, err := net.Dial("tcp", c.Options().Addr)
		if err != nil {
			return nil, err
		}
		defer func() { _ = conn.Close() }()
		lines := bufio.NewScanner(conn)
		if _, err := io.WriteString(conn, "MONITOR\r\n"); err != nil || !lines.Scan() {
			return nil, errors.Join(err, lines.Err())
		}
		go func() { counts <- countClientCommands(lines) }()
	}
	errs := []error{f()}
	for _, c := range t.clients {
		errs = append(errs, c.Echo(ctx, endOfCount).Err())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	sum := commandCount{}
	for range t.clients {
		for command, n := range <-counts {
			sum[command] += n
		}
	}
	return sum, nil
}

// endOfCount is the argument of the command after which counting ends.
const endOfCount = "end-of-count"

// countClientCommands counts the lines of MONITOR up to endOfCount that are commands of clients.
func countClientCommands(lines *bufio.Scanner) commandCount {
	counts := commandCount{}
	for lines.Scan() && !strings.HasSuffix(lines.Text(), `"`+endOfCount+`"`) {
		if command, ok := parseClientCommand(lines.Text()); ok {
			counts[command]++
		}
	}
	return counts
}

// parseClientCommand returns the name of the command that a line of MONITOR shows, for evalsha with the script's digest, if a client
// sent it. Commands of scripts have lua in the place of the client's address: 1339518083.107412 [0 lua] "get" "x".
func parseClientCommand(line string) (command string, ok bool) {
	_, rest, _ := strings.Cut(line, "[")
	source, rest, found := strings.Cut(rest, "]")
	words := strings.Fields(rest)
	if !found || strings.HasSuffix(source, " lua") || len(words) == 0 {
		return "", false
	}
	if words[0] == `"evalsha"` && len(words) > 1 {
		words[0] += " " + words[1]
	}
	return strings.ReplaceAll(words[0], `"`, ""), true
}
