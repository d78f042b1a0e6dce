package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A mode is a server with its settings. Its results are a row of the table for each number of connections.
type mode struct {
	key     string // in -modes
	name    string // in the table
	cluster bool   // Redis is a Cluster of three masters
	command func(ctx context.Context, e environment) (*exec.Cmd, error)
	cycle   func(*loadWorker, context.Context, person) // nil: runCycle
}

// allModes are all modes, in the order in which they take turns.
func allModes() []mode {
	return []mode{
		bareMode,
		{key: "nolimits", name: "watchword, no limits", command: watchwordCommand("--dev-no-limits")},
		{key: "limits", name: "watchword, default limits", command: watchwordCommand()},
		verificationMode,
		{key: "memory", name: "watchword in memory, no limits", command: watchwordCommand("--dev-no-limits", "--redis", "memory:")},
		{key: "bare-cluster", name: "bare handler, Cluster", cluster: true, command: bareCommand},
		{key: "nolimits-cluster", name: "watchword, no limits, Cluster", cluster: true, command: watchwordCommand("--dev-no-limits")},
		{key: "limits-cluster", name: "watchword, default limits, Cluster", cluster: true, command: watchwordCommand()},
	}
}

// bareMode is the mode to which the others are compared.
var bareMode = mode{key: "bare", name: "bare handler", command: bareCommand}

// modeKeys returns the keys of all modes, separated by commas.
func modeKeys() string {
	var keys []string
	for _, m := range allModes() {
		keys = append(keys, m.key)
	}
	return strings.Join(keys, ",")
}

// selectModes returns the modes with the keys, which are separated by commas, in the order of allModes.
func selectModes(keys string) (selected []mode, err error) {
	wanted := strings.Split(keys, ",")
	for _, m := range allModes() {
		if i := slices.Index(wanted, m.key); i >= 0 {
			selected, wanted = append(selected, m), slices.Delete(wanted, i, i+1)
		}
	}
	if len(wanted) > 0 {
		return nil, fmt.Errorf("modes: %q is unknown or repeated; there are %s", wanted, modeKeys())
	}
	return selected, nil
}

// An environment is what a server is started with.
type environment struct {
	watchword string // path of the binary
	redis     *redisTarget
	sink      string // URL to which messages are posted
	dir       string // of this run of the benchmark
}

func bareCommand(ctx context.Context, e environment) (*exec.Cmd, error) {
	self, err := os.Executable()
	return exec.CommandContext(ctx, self, bareArgument, strings.Join(e.redis.addrs(), ","), e.sink), err
}

// watchwordCommand returns a mode's command: a development server that sends messages to the sink. Development mode has the
// default limits, and allows plain http to loopback addresses. args come last, so that they take precedence.
func watchwordCommand(args ...string) func(context.Context, environment) (*exec.Cmd, error) {
	return func(ctx context.Context, e environment) (*exec.Cmd, error) {
		if e.watchword == "" {
			return nil, errors.New("-watchword is missing: the path of the binary")
		}
		to, err := url.Parse(e.sink)
		if err != nil {
			return nil, err
		}
		to.Scheme, to.RawQuery = "webhook+http", "secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		serve := []string{"serve", "--dev", "--listen", "127.0.0.1:0", "--redis", e.redis.url,
			"--data-dir", filepath.Join(e.dir, "watchword"), "--send", "sms=" + to.String()}
		cmd := exec.CommandContext(ctx, e.watchword, append(serve, args...)...)
		cmd.Env = slices.DeleteFunc(cmd.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "WATCHWORD_") }) // settings that are not measured
		return cmd, nil
	}
}
