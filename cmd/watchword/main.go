// Command watchword is the verification server and its tools.
//
//	watchword serve --dev                     everything embedded, for development
//	watchword serve --config watchword.yaml   production
//	watchword check-config | doctor | keys | version
//
// The package imports all others, and none imports it. Start-up has these steps:
//
//   - The configuration file (config.go) is parsed strictly (read.go). Environment variables and flags override it (options.go).
//   - All of it is checked, and all problems are reported together (settings*.go, dev.go).
//   - The service is built from the settings (build.go, build_app.go), with the plug-ins that wire.go lists.
//   - The service runs until a signal ends it (serve.go).
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) }

// execute runs one command and returns the exit status. The first SIGINT or SIGTERM shuts down gracefully, the second kills
// the process.
func execute(args []string, stdout, stderr io.Writer) int {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	stopAtSignal(ctx, stop)
	root := newRootCommand(stdout, stderr)
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		_, _ = fmt.Fprintln(stderr, "watchword:", err)
		return 1
	}
	return 0
}

// stopAtSignal calls stop at the first SIGINT or SIGTERM. Before that it gives the signals their default effect back: whoever sees
// that the shutdown has begun can end the process.
func stopAtSignal(ctx context.Context, stop context.CancelFunc) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
		}
		signal.Stop(signals)
		stop()
	}()
}
