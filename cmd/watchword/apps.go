package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func appsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "apps", Short: "List the apps of a configuration, and add one"}
	cmd.AddCommand(listAppsCommand(), addAppCommand())
	return cmd
}

func listAppsCommand() *cobra.Command {
	return withConfig(&cobra.Command{
		Use:   "list",
		Short: "List the apps of a configuration",
	}, func(_ context.Context, cmd *cobra.Command, s settings) error {
		table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "APP\tPUBLIC URL\tCHANNELS\tAPI KEYS")
		for _, a := range s.apps {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%d\n", a.id, a.publicURL, strings.Join(channelNames(a), ", "), len(a.keys))
		}
		return table.Flush()
	})
}

// An addedApp is what `apps add` writes to the configuration.
type addedApp struct {
	id, name, publicURL string
	senders             []string // CHANNEL=FILE
	scopes              []string
}

func addAppCommand() *cobra.Command {
	var app addedApp
	var path string
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Add an app to a configuration file, with an API key",
		Long: "Add an app to a configuration file after the others, with a new API key, which is printed once. The rest of the file stays as\n" +
			"it is. The new file is checked first: with any mistake nothing is written. A running server takes the app over on SIGHUP.\n\n" +
			"The file must list its apps one below the other. If it does not, the lines to add are printed.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if path == "" {
				path = os.Getenv(configVariable)
			}
			if path == "" || app.id == "" || app.publicURL == "" {
				return errors.New("--config, --id and --public-url are needed")
			}
			key, err := newAPIKey()
			if err != nil {
				return err
			}
			lines, err := app.format(key)
			if err != nil {
				return err
			}
			if err := addToConfig(cmd, path, lines); err != nil {
				return err
			}
			cmd.Printf("# added: %s\n# take it over with SIGHUP, for example: systemctl reload watchword\n\n# the API key of the app's backend; it is not stored, so copy it now\n%s\n", app.id, key)
			return nil
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "the configuration `file`; WATCHWORD_CONFIG")
	cmd.Flags().StringVar(&app.id, "id", "", "`id` of the app; it never changes")
	cmd.Flags().StringVar(&app.name, "name", "", "`name` of the app for people; the id by default")
	cmd.Flags().StringVar(&app.publicURL, "public-url", "", "`origin` at which people and the app reach the server")
	cmd.Flags().StringArrayVar(&app.senders, "send", nil, "`CHANNEL=FILE`: a channel, and the file with the URL of its sender, such as email=smtp-url. Repeat it for more")
	addScopesFlag(cmd, &app.scopes)
	return cmd
}

// format formats the lines of the app, without indentation. The dash is in the first one.
func (a addedApp) format(key string) ([]string, error) {
	lines := []string{fmt.Sprintf("- id: %q", a.id)}
	if a.name != "" {
		lines = append(lines, fmt.Sprintf("  name: %q", a.name))
	}
	lines = append(lines, "  keys:", "    - "+formatAPIKey(key, a.scopes), fmt.Sprintf("  public_url: %q", a.publicURL))
	if len(a.senders) > 0 {
		lines = append(lines, "  send:")
	}
	seen := map[string]bool{}
	for _, s := range a.senders {
		channel, file, ok := strings.Cut(s, "=")
		switch {
		case !ok || channel == "" || file == "":
			return nil, errors.New("--send: needs CHANNEL=FILE, such as email=smtp-url")
		case seen[channel]:
			return nil, fmt.Errorf("--send: %s is there twice; add further senders to the file", channel)
		}
		seen[channel] = true
		lines = append(lines, fmt.Sprintf("    %q:", channel), fmt.Sprintf("      - {url_file: %q}", file))
	}
	return lines, nil
}

// formatAPIKey formats the entry of a key for the configuration. It has no secret.
func formatAPIKey(key string, scopes []string) string {
	sum := sha256.Sum256([]byte(key))
	return fmt.Sprintf("{sha256: %s, scopes: [%s]}", hex.EncodeToString(sum[:]), strings.Join(scopes, ", "))
}

// addToConfig writes the configuration with one more app, if the server would accept it.
func addToConfig(cmd *cobra.Command, path string, lines []string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	added, ok := insertApp(text, lines)
	if !ok {
		return fmt.Errorf("%s: the apps are not listed one below the other. Add these lines to them yourself:\n%s", path, strings.Join(lines, "\n"))
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	candidate, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(candidate.Name()) }()
	_, err = candidate.Write(added)
	if err = errors.Join(err, candidate.Chmod(info.Mode().Perm()), keepOwner(candidate, info), candidate.Sync(), candidate.Close()); err != nil {
		return err
	}
	if err := checkConfigFile(cmd, candidate.Name()); err != nil {
		return err
	}
	return os.Rename(candidate.Name(), path)
}

// checkConfigFile returns what is wrong with a configuration file, as check-config does.
func checkConfigFile(cmd *cobra.Command, path string) error {
	check := checkConfigCommand()
	check.SetContext(cmd.Context())
	check.SetErr(cmd.ErrOrStderr())
	if err := check.Flags().Set("config", path); err != nil {
		return err
	}
	s, err := loadSettings(check, checker{})
	if err != nil {
		return err
	}
	svc, err := buildWithoutServing(check, s, true)
	if err != nil {
		return err
	}
	return svc.storage.close()
}
