// Command watchword is the server around the engine, and the tools that go with it.
//
//	watchword serve --dev                     everything embedded, for development
//	watchword serve --config watchword.yaml   production
//	watchword check-config | doctor | keys | version
//
// It knows every room of the house, and nobody knows it. A configuration (config.go) is read strictly (read.go), flags
// and environment variables are laid over it (options.go), everything is checked at once (settings*.go, dev.go), and
// what remains are settings without a mistake. From them the house is built (house.go) out of the plug-ins that wire.go
// lists, and runs until it is told to end (serve.go).
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

// execute runs one command. The first signal to end is answered by ending well, the second ends at once.
func execute(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		_, _ = fmt.Fprintln(stderr, "watchword:", err)
		return 1
	}
	return 0
}
