package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/server"
)

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "Create keys and API keys, rotate keys, give up a lost one, and show an app's key of address_hash"}
	cmd.AddCommand(newKeysCommand(), apiKeyCommand(), rotateCommand(), forgetCommand(), addressHashCommand())
	return cmd
}

// apiKeyPrefix makes API keys recognizable for secret scanners.
const apiKeyPrefix = "wk_"

// newAPIKey generates an API key.
func newAPIKey() (string, error) {
	secret := make([]byte, secretBytes)
	if _, err := rand.Read(secret); err != nil {
		return "", fmt.Errorf("random source: %w", err)
	}
	return apiKeyPrefix + base64.RawURLEncoding.EncodeToString(secret), nil
}

func apiKeyCommand() *cobra.Command {
	var scopes []string
	cmd := &cobra.Command{
		Use:   "api",
		Short: "Create an API key alone",
		Long: "Create an API key for an app. The key is printed once; the configuration gets the line with its digest. A running server takes\n" +
			"it over on SIGHUP. To replace a key, list both until the app's backend has the new one.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkScopes(scopes); err != nil {
				return err
			}
			key, err := newAPIKey()
			if err != nil {
				return err
			}
			cmd.Printf("# the API key of the app's backend; it is not stored, so copy it now\n%s\n\n# for the configuration, under the app's keys:\n- %s\n", key, formatAPIKey(key, scopes))
			return nil
		},
	}
	addScopesFlag(cmd, &scopes)
	return cmd
}

func addScopesFlag(cmd *cobra.Command, scopes *[]string) {
	cmd.Flags().StringSliceVar(scopes, "scopes", defaultScopes(), "`scopes` of the key: "+strings.Join(server.Scopes(), ", "))
}

func defaultScopes() []string { return []string{server.ScopeChallenges, server.ScopeFactors} }

func checkScopes(scopes []string) error {
	if len(scopes) == 0 {
		return errors.New("--scopes: at least one is needed")
	}
	for _, s := range scopes {
		if !slices.Contains(server.Scopes(), s) {
			return fmt.Errorf("--scopes: unknown scope %q; there are %s", s, strings.Join(server.Scopes(), ", "))
		}
	}
	return nil
}

func newKeysCommand() *cobra.Command {
	var dir, name string
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Create the keys of a server, and an API key",
		Long: "Create the keys of a server (a key of the keyring, the identity key, a signing key) and an API key for an app. The keys are\n" +
			"printed or, with --dir, written to files that only their owner can read. Existing files are not changed. The output has\n" +
			"the lines for the configuration.\n\n" +
			"To rotate, create keys under a new --name. Put the new key second in its list and restart every server, so that all of\n" +
			"them have it. Then put it first (wait an hour with a signing key), restart again, and run watchword keys rotate.\n" +
			"The identity key never changes. docs/operating.md has the steps.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			generated, err := generateKeys(name)
			if err != nil {
				return err
			}
			if dir == "" {
				cmd.Print(generated.formatAll())
				return nil
			}
			return generated.writeFiles(cmd, dir)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "write files to this `folder`")
	cmd.Flags().StringVar(&name, "name", time.Now().UTC().Format("2006-01-02"), "`name` of the keys")
	return cmd
}

// A keyFile is a secret and the name of its file.
type keyFile struct{ name, content string }

// generatedKeys are the keys that `keys new` creates. There is only one identity key, so the name is not in its file name.
type generatedKeys struct {
	name                       string
	keyring, identity, signing keyFile
	apiKey                     string
}

func generateKeys(name string) (generatedKeys, error) {
	if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") != "" || name[0] == '.' {
		return generatedKeys{}, errors.New("--name: letters, digits, dots, hyphens and underscores only, and no dot at the beginning")
	}
	ring, errRing := newSecret()
	identity, errIdentity := newSecret()
	signing, errSigning := newSigningPEM()
	api, errAPI := newAPIKey()
	return generatedKeys{name: name,
		keyring:  keyFile{"keyring-" + name + ".key", string(ring)},
		identity: keyFile{"identity.key", string(identity)},
		signing:  keyFile{"signing-" + name + ".pem", string(signing)},
		apiKey:   api,
	}, errors.Join(errRing, errIdentity, errSigning, errAPI)
}

// formatAll formats the keys, secrets included, and the configuration.
func (k generatedKeys) formatAll() string {
	var b strings.Builder
	for _, f := range []keyFile{k.keyring, k.identity, k.signing} {
		fmt.Fprintf(&b, "# %s: keep it secret, readable by the server only\n%s\n", f.name, f.content)
	}
	fmt.Fprintf(&b, "# the API key of the app's backend; it is not stored, so copy it now\n%s\n\n", k.apiKey)
	b.WriteString(k.formatConfig(""))
	return b.String()
}

// formatConfig formats the lines for the configuration, with the paths of the files in dir. They contain no secret.
func (k generatedKeys) formatConfig(dir string) string {
	in := func(f keyFile) string { return filepath.Join(dir, f.name) }
	return fmt.Sprintf(`# for the configuration:
keyring:
  - {id: %q, secret_file: %q}
identity_key_file: %q
signing:
  - {kid: %q, key_file: %q}
apps:
  - keys:
      - %s
`, k.name, in(k.keyring), in(k.identity), k.name, in(k.signing), formatAPIKey(k.apiKey, defaultScopes()))
}

// writeFiles creates the files and prints the API key, which belongs to the app. It keeps existing files, because the identity key
// must never change and a key with an existing name is probably a mistake.
func (k generatedKeys) writeFiles(cmd *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for _, f := range []keyFile{k.keyring, k.identity, k.signing} {
		path := filepath.Join(dir, f.name)
		switch err := writeNewFile(path, []byte(f.content)); {
		case errors.Is(err, fs.ErrExist):
			cmd.Printf("# kept:  %s\n", path)
		case err != nil:
			return err
		default:
			cmd.Printf("# wrote: %s\n", path)
		}
	}
	cmd.Printf("\n# the API key of the app's backend; it is not stored, so copy it now\n%s\n\n%s", k.apiKey, k.formatConfig(absolute))
	return nil
}

// unknownAppError returns an error that lists the apps.
func unknownAppError(app string, engines []*watchword.Engine) error {
	var names []string
	for _, e := range engines {
		names = append(names, e.App())
	}
	if app == "" {
		return fmt.Errorf("--app is missing; the apps are %s", strings.Join(names, ", "))
	}
	return fmt.Errorf("--app: there is no such app; the apps are %s", strings.Join(names, ", "))
}

func addressHashCommand() *cobra.Command {
	var app string
	cmd := withConfig(&cobra.Command{
		Use:   "address-hash",
		Short: "Print the key of address_hash in an app's receipts",
		Long: "Print the key with which an app computes the address_hash of an address, in base64url, to compare it with a receipt's.\n" +
			"See docs/receipts.md. The key is a secret of the app.",
	}, func(_ context.Context, cmd *cobra.Command, s settings) error {
		svc, err := buildWithoutServing(cmd, s, true)
		if err != nil {
			return err
		}
		for _, e := range svc.engines {
			if e.App() == app || app == "" && len(svc.engines) == 1 {
				cmd.Println(e.AddressKey().Reveal())
				return svc.storage.close()
			}
		}
		return errors.Join(unknownAppError(app, svc.engines), svc.storage.close())
	})
	cmd.Flags().StringVar(&app, "app", "", "the app's `id`; optional if there is only one")
	return cmd
}
