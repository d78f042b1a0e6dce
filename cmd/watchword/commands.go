package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"
)

// newRoot makes the command with all its sub-commands.
func newRoot(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "watchword",
		Short:         "Have somebody prove something, and get a receipt for it",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(serveCommand(), checkCommand(), doctorCommand(), keysCommand(), versionCommand())
	return root
}

func serveCommand() *cobra.Command {
	return withConfig(&cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server. With --dev everything is embedded: it listens on loopback, its API key is dev, and what would be sent\n" +
			"is at /inbox. Otherwise it needs a configuration; see docs/configuration.md.\n\n" +
			"A flag wins over its environment variable, which wins over the file.",
	}, func(ctx context.Context, cmd *cobra.Command, s settings) error {
		r := &run{settings: s, log: newLogger(cmd.ErrOrStderr(), s.logLevel), telling: newLogger(cmd.ErrOrStderr(), slog.LevelInfo), stdout: cmd.OutOrStdout()}
		takeLibraryLogs(r.log)
		return r.serve(ctx)
	})
}

func checkCommand() *cobra.Command {
	return withConfig(&cobra.Command{
		Use:   "check-config",
		Short: "Say everything that is wrong with a configuration",
		Long:  "Say everything that is wrong with a configuration. Nothing is connected and nothing is started.",
	}, func(_ context.Context, cmd *cobra.Command, s settings) error {
		h, err := buildOnly(cmd, s, true)
		if err != nil {
			return err
		}
		cmd.Printf("the configuration is fine: %d app(s)\n", len(h.engines))
		return h.storage.close()
	})
}

// buildOnly makes the house that serve would make, without running it and, if offline, without opening its database.
func buildOnly(cmd *cobra.Command, s settings, offline bool) (*house, error) {
	for i := range s.apps {
		if s.apps[i].publicURL == "" {
			s.apps[i].publicURL = "http://localhost" // development, and not listening
		}
	}
	log := newLogger(cmd.ErrOrStderr(), s.logLevel)
	takeLibraryLogs(log)
	b := newBuilder(s, log)
	b.offline = offline
	h, problems := b.build(cmd.Context())
	if len(problems) > 0 {
		return nil, configError{problems}
	}
	return h, nil
}

// withConfig gives a command the options of a configuration, and runs it with settings that have no mistake.
func withConfig(cmd *cobra.Command, do func(context.Context, *cobra.Command, settings) error) *cobra.Command {
	return withChecked(cmd, checker{}, do)
}

// withChecked does the same with a checker that is lenient in something.
func withChecked(cmd *cobra.Command, c checker, do func(context.Context, *cobra.Command, settings) error) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.Flags().Bool("dev", false, "development mode")
	cmd.Flags().String("config", "", "the configuration `file`; WATCHWORD_CONFIG")
	addFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := load(cmd, c)
		if err != nil {
			return err
		}
		for _, warning := range s.warnings {
			newLogger(cmd.ErrOrStderr(), s.logLevel).Warn("configuration leaves something open", "warning", warning)
		}
		return do(cmd.Context(), cmd, s)
	}
	return cmd
}

// load reads the configuration that a command's flags and the environment ask for.
func load(cmd *cobra.Command, c checker) (settings, error) {
	dev, _ := cmd.Flags().GetBool("dev")
	path, _ := cmd.Flags().GetString("config")
	fromEnv := !cmd.Flags().Changed("config") && os.Getenv("WATCHWORD_CONFIG") != ""
	if fromEnv {
		path = os.Getenv("WATCHWORD_CONFIG")
	}
	var cfg fileConfig
	readable := true
	switch {
	case dev && path != "":
		return settings{}, fmt.Errorf("--dev takes no configuration file: it is for trying things out, the file is for production")
	case !dev && path == "":
		return settings{}, fmt.Errorf("--config FILE is missing (or --dev, to try things out)")
	case !dev:
		c.base = filepath.Dir(path)
		cfg, readable, c.problems = readConfig(path)
	}
	c.problems = append(c.problems, overlay(&cfg, cmd.Flags(), os.LookupEnv)...)
	unread := slices.Clone(c.problems)
	var s settings
	switch {
	case dev:
		s = c.development(cfg)
	case readable:
		c.checkModes(os.LookupEnv)
		s = c.production(cfg)
	}
	if len(c.problems) == 0 {
		return s, nil
	}
	if readable {
		c.problems = append(c.problems, s.otherProblems()...)
	}
	return settings{}, configError{append(unread, withoutConsequences(c.problems[len(unread):], unread)...)}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			version, revision := "(devel)", ""
			if info, ok := debug.ReadBuildInfo(); ok {
				version = info.Main.Version
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						revision = " " + s.Value
					}
				}
			}
			cmd.Printf("watchword %s%s %s %s/%s\n", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}
