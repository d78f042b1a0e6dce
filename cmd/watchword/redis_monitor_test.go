package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// startMonitor copies the output of MONITOR until stop is called, which waits for all commands so far.
func startMonitor(t *testing.T, server *redistest.Server, to io.Writer) (stop func()) {
	t.Helper()
	conn, err := net.Dial("tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(conn)
	if _, err := io.WriteString(conn, "MONITOR\r\n"); err != nil {
		t.Fatal(err)
	}
	if ok, err := lines.ReadString('\n'); err != nil || ok != "+OK\r\n" {
		t.Fatalf("MONITOR: %q %v", ok, err)
	}
	const last = "end-of-monitor"
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			line, err := lines.ReadString('\n')
			if err != nil || strings.Contains(line, last) {
				return
			}
			_, _ = io.WriteString(to, line)
		}
	}()
	return func() {
		server.Client(t).Echo(context.Background(), last)
		<-ended
		_ = conn.Close()
	}
}

// firstScript returns the digest of the first script with a part of a key that is sent during a call. The scripts are known to Redis.
func firstScript(t *testing.T, server *redistest.Server, key string, call func()) string {
	t.Helper()
	monitored := &syncBuffer{}
	stop := startMonitor(t, server, monitored)
	call()
	stop()
	for line := range strings.Lines(monitored.String()) {
		if strings.Contains(line, `"evalsha"`) && strings.Contains(line, key) {
			return string(parseMonitorArgs(line)[1])
		}
	}
	t.Fatalf("no script on %s in:\n%s", key, monitored)
	return ""
}

// lastAttempt returns the digest and the approval mark of the last attempt on a key in the output of MONITOR.
func lastAttempt(t *testing.T, monitored, key string) (digest, mark []byte) {
	t.Helper()
	for _, line := range strings.Split(monitored, "\n") {
		if !strings.Contains(line, `"evalsha"`) || !strings.Contains(line, `"`+key+`"`) {
			continue
		}
		args := parseMonitorArgs(line)
		digest, mark = args[len(args)-4], args[len(args)-2] // the last argument is the deadline
	}
	if len(digest) != 32 || len(mark) != 57 {
		t.Fatalf("no attempt on %s in:\n%s", key, monitored)
	}
	return digest, mark
}

// parseMonitorArgs parses the quoted arguments of a line of MONITOR.
func parseMonitorArgs(line string) (args [][]byte) {
	for i := strings.IndexByte(line, '"'); i >= 0 && i < len(line); i++ {
		if line[i] != '"' {
			continue
		}
		var arg []byte
		for i++; line[i] != '"'; i++ {
			if line[i] != '\\' {
				arg = append(arg, line[i])
				continue
			}
			switch i++; line[i] {
			case 'x':
				b, _ := hex.DecodeString(line[i+1 : i+3])
				arg, i = append(arg, b...), i+2
			case 'n':
				arg = append(arg, '\n')
			case 'r':
				arg = append(arg, '\r')
			case 't':
				arg = append(arg, '\t')
			case 'a':
				arg = append(arg, '\a')
			case 'b':
				arg = append(arg, '\b')
			default:
				arg = append(arg, line[i])
			}
		}
		args = append(args, arg)
	}
	return args
}

// dumpRedis returns all keys and values: what an attacker with read access sees.
func dumpRedis(t *testing.T, c *goredis.Client) string {
	t.Helper()
	ctx := context.Background()
	var out strings.Builder
	for _, key := range c.Keys(ctx, "*").Val() {
		out.WriteString(key + "\n")
		if value, err := c.Get(ctx, key).Result(); err == nil {
			out.WriteString(value)
		}
		for _, value := range append(c.LRange(ctx, key, 0, -1).Val(), c.ZRange(ctx, key, 0, -1).Val()...) {
			out.WriteString(value)
		}
		for _, entry := range c.XRange(ctx, key, "-", "+").Val() {
			fmt.Fprintln(&out, entry.Values)
		}
	}
	return out.String()
}
