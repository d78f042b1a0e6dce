// Command watchword-bench compares the cost of verification over HTTP with bare handlers.
//
// A cycle is a start, a wrong check and a right check of a code that was sent by webhook. Each server runs alone, in a process of
// its own, on loopback, with a Redis or a Redis Cluster that nothing else uses. The servers are measured in turns, so that other
// load on the machine affects all of them. A bare handler is a net/http handler that runs one EVALSHA for each request, posts
// the same number of webhooks and verifies nothing.
//
// Progress is written to stderr, and the result to stdout, as Markdown. docs/sizing.md explains the result.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "watchword-bench:", err)
		os.Exit(1)
	}
}

// run serves a bare handler if the first argument is bareArgument, and else measures.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 3 && args[0] == bareArgument {
		return serveBare(ctx, strings.Split(args[1], ","), args[2], stdout)
	}
	options, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	return compare(ctx, options, stdout, stderr)
}

// options are what the flags say.
type options struct {
	watchword   string // path of the binary
	modes       []mode
	connections []int
	rounds      int
	duration    time.Duration
}

func parseOptions(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("watchword-bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.watchword, "watchword", "", "`path` of the watchword binary")
	keys := flags.String("modes", modeKeys(), "servers to measure, separated by commas")
	connections := flags.String("connections", "1,16,64", "numbers of connections, separated by commas")
	flags.IntVar(&o.rounds, "rounds", 3, "measurements of each server at each number of connections; medians are printed")
	flags.DurationVar(&o.duration, "duration", 3*time.Second, "longest duration of one measurement; 300ms gives a first impression")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.rounds < 1 || o.duration <= 0 || flags.NArg() > 0 {
		return o, errors.New("rounds and duration must be positive, and there are no arguments beside the flags")
	}
	if o.connections, err = parseNumbers(*connections); err != nil {
		return o, fmt.Errorf("connections: %w", err)
	}
	o.modes, err = selectModes(*keys)
	return o, err
}

// parseNumbers parses positive numbers that are separated by commas.
func parseNumbers(list string) (numbers []int, err error) {
	for part := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a positive number", part)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}
