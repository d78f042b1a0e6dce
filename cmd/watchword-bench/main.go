// Command watchword-bench measures what verification costs over HTTP, next to what could not be spared.
//
// In one run, on loopback, in turn, it loads three servers, each a process of its own: watchword on Redis; a bare
// net/http handler that runs one EVALSHA a request; and a bare handler that does nothing. A cycle is a start, a wrong
// check and a right one; each server posts one webhook a start to a local sink, and the load waits for it, because it
// brings the code. It prints cycles a second, latencies of requests, the server's CPU and the Redis commands of a cycle,
// and what each is of the bare EVALSHA handler's.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

func main() {
	bare := flag.String("bare", "", "be a bare server: evalsha or nothing")
	redisURL := flag.String("redis", "", "of the bare server")
	sink := flag.String("sink", "", "URL for the bare server's webhooks")
	server := flag.String("watchword", "", "path of the watchword binary")
	seconds := flag.Duration("time", 5*time.Second, "of each measurement")
	connections := flag.String("connections", "1,16,64", "of each measurement")
	rounds := flag.Int("rounds", 2, "measurements of each server, in turn; the median counts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *bare != "" {
		err = serveBare(ctx, *bare, *redisURL, *sink)
	} else {
		err = compare(ctx, *server, numbers(*connections), *seconds, *rounds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "watchword-bench:", err)
		os.Exit(1)
	}
}

func numbers(list string) (out []int) {
	for _, part := range strings.Split(list, ",") {
		if n, err := strconv.Atoi(strings.TrimSpace(part)); err == nil && n > 0 {
			out = append(out, n)
		}
	}
	return out
}

// compare measures all servers at each number of connections.
func compare(ctx context.Context, watchword string, connections []int, length time.Duration, rounds int) error {
	sink, err := newSink()
	if err != nil {
		return err
	}
	defer sink.close()
	rd, err := startRedis(ctx)
	if err != nil {
		return err
	}
	defer rd.stop()
	servers := []*process{
		{name: "watchword", command: watchwordCommand(watchword, rd.url, sink.url)},
		{name: "bare evalsha", command: bareCommand("evalsha", rd.url, sink.url)},
		{name: "bare nothing", command: bareCommand("nothing", rd.url, sink.url)},
	}
	for _, s := range servers {
		if err := s.start(ctx); err != nil {
			return err
		}
		defer s.stop()
	}
	fmt.Printf("%-14s %5s %10s %9s %9s %12s %10s %8s %8s\n", "server", "conns", "cycles/s", "p50", "p99", "CPU/cycle", "redis/cyc", "of bare", "CPU of")
	for _, n := range connections {
		results := make([][]result, len(servers))
		for range rounds {
			for i, s := range servers {
				r, err := measure(ctx, s, rd, sink, n, length)
				if err != nil {
					return fmt.Errorf("%s at %d connections: %w", s.name, n, err)
				}
				results[i] = append(results[i], r)
			}
		}
		reference := median(results[1])
		for i, s := range servers {
			median(results[i]).print(s.name, n, reference)
		}
	}
	return nil
}
