package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
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
		{key: "nolimits", name: "watchword, no limits", command: watchwordCommand(withoutLimits)},
		{key: "limits", name: "watchword, default limits", command: watchwordCommand(defaultLimits)},
		verificationMode,
		{key: "memory", name: "watchword in memory, no limits", command: watchwordCommand(withoutLimits, "--redis", "memory:")},
		{key: "bare-cluster", name: "bare handler, Cluster", cluster: true, command: bareCommand},
		{key: "nolimits-cluster", name: "watchword, no limits, Cluster", cluster: true, command: watchwordCommand(withoutLimits)},
		{key: "limits-cluster", name: "watchword, default limits, Cluster", cluster: true, command: watchwordCommand(defaultLimits)},
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
	sink      string      // URL to which messages are posted
	files     serverFiles // of this run of the benchmark
}

func bareCommand(ctx context.Context, e environment) (*exec.Cmd, error) {
	self, err := os.Executable()
	cmd := exec.CommandContext(ctx, self, bareArgument, strings.Join(e.redis.addrs(), ","), e.sink)
	cmd.Env = e.files.environ(cmd)
	return cmd, err
}

// watchwordCommand returns a mode's command: a production server that sends messages to the sink, with the configuration file of
// that name. args come last, so that they take precedence.
func watchwordCommand(config string, args ...string) func(context.Context, environment) (*exec.Cmd, error) {
	return func(ctx context.Context, e environment) (*exec.Cmd, error) {
		if e.watchword == "" {
			return nil, errors.New("-watchword is missing: the path of the binary")
		}
		serve := []string{"serve", "--config", e.files.path(config), "--redis", e.redis.url}
		cmd := exec.CommandContext(ctx, e.watchword, append(serve, args...)...)
		cmd.Env = e.files.environ(cmd)
		return cmd, nil
	}
}
