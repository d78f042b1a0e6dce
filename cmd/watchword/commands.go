package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
)

// newRootCommand makes the command and its sub-commands.
func newRootCommand(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "watchword",
		Short:         "Verify codes, links, passkeys and authenticator apps, and sign receipts",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w (see %s --help)", err, cmd.CommandPath())
	})
	root.AddCommand(serveCommand(), appsCommand(), checkConfigCommand(), doctorCommand(), eventsCommand(), healthcheckCommand(), keysCommand(), versionCommand())
	return root
}

func serveCommand() *cobra.Command {
	return withConfig(&cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server. With --dev everything is embedded: the server listens on loopback, its API key is dev, and messages are\n" +
			"shown at /inbox instead of being sent. Otherwise it needs a configuration; see docs/configuration.md.\n\n" +
			"A flag overrides its environment variable, which overrides the file.\n\n" +
			"SIGHUP reloads what the file says about apps. SIGTERM shuts down; a second one ends the process at once.",
	}, func(ctx context.Context, cmd *cobra.Command, s settings) error {
		hangups := make(chan os.Signal, 1)
		signal.Notify(hangups, syscall.SIGHUP)
		defer signal.Stop(hangups)
		p := &serverProcess{settings: s, log: newLogger(cmd.ErrOrStderr(), s.logLevel), startupLog: slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil)), stdout: cmd.OutOrStdout(),
			hangups: hangups, readSettings: func() (settings, error) { return loadSettings(cmd, checker{}) }}
		redirectLibraryLogs(p.log)
		return p.serve(ctx)
	})
}

func checkConfigCommand() *cobra.Command {
	return withConfig(&cobra.Command{
		Use:   "check-config",
		Short: "Report every problem of a configuration",
		Long:  "Report every problem of a configuration. Nothing is connected and nothing is started.",
	}, func(_ context.Context, cmd *cobra.Command, s settings) error {
		svc, err := buildWithoutServing(cmd, s, true)
		if err != nil {
			return err
		}
		cmd.Printf("the configuration is fine: %d app(s)\n", len(svc.engines))
		return svc.storage.close()
	})
}

// buildWithoutServing builds the service that serve would run. If offline, the database is not opened.
func buildWithoutServing(cmd *cobra.Command, s settings, offline bool) (*service, error) {
	for i := range s.apps {
		if s.apps[i].publicURL == "" {
			s.apps[i].publicURL = "http://localhost" // development; serve takes it from its listener
		}
	}
	log := newLogger(cmd.ErrOrStderr(), s.logLevel)
	redirectLibraryLogs(log)
	b := newBuilder(s, log)
	b.offline = offline
	svc, problems := b.build(cmd.Context())
	if len(problems) > 0 {
		return nil, configError{problems}
	}
	return svc, nil
}

// withConfig adds the configuration's flags to a command, and calls run with the checked settings.
func withConfig(cmd *cobra.Command, run func(context.Context, *cobra.Command, settings) error) *cobra.Command {
	return withCheckedConfig(cmd, checker{}, run)
}

// withCheckedConfig is withConfig with a checker of the command's own, which may tolerate more.
func withCheckedConfig(cmd *cobra.Command, c checker, run func(context.Context, *cobra.Command, settings) error) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.Flags().Bool("dev", false, "development mode")
	cmd.Flags().String("config", "", "the configuration `file`; WATCHWORD_CONFIG")
	addFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := loadSettings(cmd, c)
		if err != nil {
			return err
		}
		for _, warning := range s.warnings {
			newLogger(cmd.ErrOrStderr(), s.logLevel).Warn("unsafe configuration", "warning", warning)
		}
		return run(cmd.Context(), cmd, s)
	}
	return cmd
}

// loadSettings reads the configuration file and applies environment variables and flags. Its error is a configError with every
// problem, or says that --dev and --config do not fit together.
func loadSettings(cmd *cobra.Command, c checker) (settings, error) {
	dev, _ := cmd.Flags().GetBool("dev")
	path, _ := cmd.Flags().GetString("config")
	fromEnv := !cmd.Flags().Changed("config") && os.Getenv(configVariable) != ""
	if fromEnv {
		path = os.Getenv(configVariable)
	}
	var cfg fileConfig
	readable := true
	switch {
	case dev && path != "":
		return settings{}, fmt.Errorf("--dev takes no configuration file, which is for production")
	case !dev && path == "":
		return settings{}, fmt.Errorf("--config FILE is missing (or --dev, for development)")
	case !dev:
		c.folder = filepath.Dir(path)
		cfg, readable, c.problems = readConfig(path)
	}
	c.problems = append(c.problems, findUnknownVariables(os.Environ())...)
	c.problems = append(c.problems, applyOptions(&cfg, cmd.Flags(), os.LookupEnv)...)
	readProblems := slices.Clone(c.problems)
	var s settings
	switch {
	case dev:
		s = c.developmentSettings(cfg)
	case readable:
		c.checkSecretFileModes(os.LookupEnv)
		s = c.productionSettings(cfg)
	}
	if len(c.problems) == 0 {
		return s, nil
	}
	if readable {
		c.problems = append(c.problems, s.findBuildProblems()...)
	}
	checkProblems := c.problems[len(readProblems):]
	return settings{}, configError{append(readProblems, withoutUnreadSettings(checkProblems, readProblems)...)}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			version, revision := buildVersion()
			if revision != "" {
				version += " " + revision
			}
			cmd.Printf("watchword %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}

// releaseVersion is the version of a release; the linker sets it (.goreleaser.yaml). Other builds have the version of the module.
var releaseVersion string

// buildVersion returns the program's version, and the revision of the source, if the build recorded it.
func buildVersion() (version, revision string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return cmp.Or(releaseVersion, "(devel)"), ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return cmp.Or(releaseVersion, info.Main.Version), revision
}
