package main

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
)

const (
	healthPath    = "/healthz"
	readinessPath = "/readyz"
)

// healthcheckTimeout is longer than a server may take to answer readinessPath.
const healthcheckTimeout = 5 * time.Second

func healthcheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running server on this machine whether it works",
		Long: "Ask a running server on this machine whether its process works, or with --ready whether it can start, send and check\n" +
			"challenges. The exit status is 0 if it does. For images that have no shell and no other HTTP client.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path := healthPath
			if ready, _ := cmd.Flags().GetBool("ready"); ready {
				path = readinessPath
			}
			address, err := runningAddress(cmd)
			if err != nil {
				return err
			}
			return askHealth(cmd.Context(), &http.Client{Timeout: healthcheckTimeout}, "http://"+address, path)
		},
	}
	cmd.Flags().Bool("ready", false, "ask whether challenges can be started, sent and checked")
	cmd.Flags().String("config", "", "the configuration `file` of the server; WATCHWORD_CONFIG")
	cmd.Flags().String("listen", "", "`address` that the server listens on; WATCHWORD_LISTEN")
	return cmd
}

// runningAddress returns the address of the server, by the settings that serve reads. A server that listens on all addresses is
// asked on the loopback one.
func runningAddress(cmd *cobra.Command) (string, error) {
	flag := func(name, variable string) string {
		value, _ := cmd.Flags().GetString(name)
		return cmp.Or(value, os.Getenv(variable))
	}
	listen := flag("listen", "WATCHWORD_LISTEN")
	if path := flag("config", "WATCHWORD_CONFIG"); listen == "" && path != "" {
		cfg, readable, problems := readConfig(path)
		if !readable {
			return "", configError{problems}
		}
		listen = cfg.Listen
	}
	host, port, err := net.SplitHostPort(cmp.Or(listen, defaultListen))
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port), nil
}
