// Command watchword-bench compares the cost of verification over HTTP with two baselines.
//
// It measures three servers in turn on loopback, each in its own process: watchword on Redis, a net/http handler that runs one
// EVALSHA a request, and a net/http handler that does nothing. A cycle is a start, a wrong check and a right check. Each server
// sends one webhook a start to a local sink. The load waits for the webhook, because it has the code. The output has cycles a
// second, request latencies, the server's CPU time and Redis commands a cycle, and the ratios to the EVALSHA baseline.
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
	baseline := flag.String("baseline", "", "serve a baseline: evalsha or nothing")
	redisURL := flag.String("redis", "", "Redis `URL` of the baseline")
	sink := flag.String("sink", "", "`URL` for the baseline's webhooks")
	server := flag.String("watchword", "", "`path` of the watchword binary")
	seconds := flag.Duration("time", 5*time.Second, "duration of each measurement")
	connections := flag.String("connections", "1,16,64", "numbers of connections, separated by commas")
	rounds := flag.Int("rounds", 2, "measurements of each server, in turn; the median is printed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *baseline != "" {
		err = serveBaseline(ctx, *baseline, *redisURL, *sink)
	} else {
		err = compare(ctx, *server, parseNumbers(*connections), *seconds, *rounds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "watchword-bench:", err)
		os.Exit(1)
	}
}

func parseNumbers(list string) (out []int) {
	for _, part := range strings.Split(list, ",") {
		if n, err := strconv.Atoi(strings.TrimSpace(part)); err == nil && n > 0 {
			out = append(out, n)
		}
	}
	return out
}

// compare measures all servers at each number of connections and prints the results.
func compare(ctx context.Context, watchword string, connections []int, length time.Duration, rounds int) error {
	sink, err := startSink()
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
		{name: "evalsha", command: baselineCommand("evalsha", rd.url, sink.url)},
		{name: "nothing", command: baselineCommand("nothing", rd.url, sink.url)},
	}
	for _, s := range servers {
		if err := s.start(ctx); err != nil {
			return err
		}
		defer s.stop()
	}
	fmt.Printf("%-14s %5s %10s %9s %9s %12s %10s %13s %10s\n", "server", "conns", "cycles/s", "p50", "p99", "CPU/cycle", "redis/cyc", "cycles ratio", "CPU ratio")
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
		baseline := median(results[1])
		for i, s := range servers {
			median(results[i]).print(s.name, n, baseline)
		}
	}
	return nil
}
