package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchword-auth/watchword"
)

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "Make keys, rotate them, forget a lost one, and show the one that an app needs"}
	cmd.AddCommand(newKeysCommand(), rotateCommand(), forgetCommand(), addressHashCommand())
	return cmd
}

// apiKeyPrefix makes a key recognisable to those who look for secrets in the wrong places.
const apiKeyPrefix = "wk_"

func newKeysCommand() *cobra.Command {
	var dir, name string
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Make the keys of a server, and an API key",
		Long: "Make the keys of a server: a secret of the keyring, the identity key, a key that signs receipts; and an API key for an\n" +
			"app. They are printed or, with --dir, written into files that only their owner can read; files that are there stay\n" +
			"as they are. Beside them stands what belongs into the configuration.\n\n" +
			"To rotate: make keys under a new --name. Put the new one second in its list and restart every server, so that all of them\n" +
			"know it; then put it first, of the signing keys an hour later, and restart again; then run watchword keys rotate.\n" +
			"The identity key stays for ever. docs/operating.md has the steps.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			made, err := makeKeys(name)
			if err != nil {
				return err
			}
			if dir == "" {
				cmd.Print(made.text())
				return nil
			}
			return made.write(cmd, dir)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "write files into this `folder`")
	cmd.Flags().StringVar(&name, "name", time.Now().UTC().Format("2006-01-02"), "`name` of the keys")
	return cmd
}

// A keyFile is one secret and the file that it belongs in.
type keyFile struct{ name, content string }

// newKeys are the keys that were made. The identity key has no name: there is one.
type newKeys struct {
	name                       string
	keyring, identity, signing keyFile
	api                        string
}

func makeKeys(name string) (newKeys, error) {
	if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") != "" || name[0] == '.' {
		return newKeys{}, errors.New("--name: letters, digits, dots, hyphens and underscores, and no dot at the beginning")
	}
	ring, errRing := newSecret()
	identity, errIdentity := newSecret()
	signing, errSigning := newSigningPEM()
	api := make([]byte, secretBytes)
	_, errAPI := rand.Read(api)
	return newKeys{name: name,
		keyring:  keyFile{"keyring-" + name + ".key", string(ring)},
		identity: keyFile{"identity.key", string(identity)},
		signing:  keyFile{"signing-" + name + ".pem", string(signing)},
		api:      apiKeyPrefix + base64.RawURLEncoding.EncodeToString(api),
	}, errors.Join(errRing, errIdentity, errSigning, errAPI)
}

// text shows everything, the secrets too.
func (k newKeys) text() string {
	var b strings.Builder
	for _, f := range []keyFile{k.keyring, k.identity, k.signing} {
		fmt.Fprintf(&b, "# %s: keep it secret, readable by the server alone\n%s\n", f.name, f.content)
	}
	fmt.Fprintf(&b, "# the API key, for the app's backend; it is stored nowhere, so keep it now\n%s\n\n", k.api)
	b.WriteString(k.config(""))
	return b.String()
}

// config is what belongs into the configuration, wherever that is kept. It holds no secret.
func (k newKeys) config(dir string) string {
	in := func(f keyFile) string { return filepath.Join(dir, f.name) }
	sum := sha256.Sum256([]byte(k.api))
	return fmt.Sprintf(`# for the configuration:
keyring:
  - {id: %q, secret_file: %q}
identity_key_file: %q
signing:
  - {kid: %q, key_file: %q}
apps:
  - keys:
      - {sha256: %s, scopes: [challenges, factors]}
`, k.name, in(k.keyring), in(k.identity), k.name, in(k.signing), hex.EncodeToString(sum[:]))
}

// write makes the files. The identity key must never change, and another key of the same name is a mistake, so what is
// there stays. The API key is the app's: it is shown.
func (k newKeys) write(cmd *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for _, f := range []keyFile{k.keyring, k.identity, k.signing} {
		path := filepath.Join(dir, f.name)
		switch err := writeNew(path, []byte(f.content)); {
		case errors.Is(err, fs.ErrExist):
			cmd.Printf("# kept:  %s\n", path)
		case err != nil:
			return err
		default:
			cmd.Printf("# wrote: %s\n", path)
		}
	}
	cmd.Printf("\n# the API key, for the app's backend; it is stored nowhere, so keep it now\n%s\n\n%s", k.api, k.config(absolute))
	return nil
}

// noSuchApp says which apps there are.
func noSuchApp(app string, engines []*watchword.Engine) error {
	var names []string
	for _, e := range engines {
		names = append(names, e.App())
	}
	if app == "" {
		return fmt.Errorf("--app: which one? There are %s", strings.Join(names, ", "))
	}
	return fmt.Errorf("--app: there is no such app; there is %s", strings.Join(names, ", "))
}

func addressHashCommand() *cobra.Command {
	var app string
	cmd := withConfig(&cobra.Command{
		Use:   "address-hash",
		Short: "Show an app the key of its receipts' address_hash",
		Long: "Show the key with which an app compares a receipt's address_hash with its own record, in base64url;\n" +
			"docs/receipts.md says how. It is the app's secret.",
	}, func(_ context.Context, cmd *cobra.Command, s settings) error {
		h, err := buildOnly(cmd, s, true)
		if err != nil {
			return err
		}
		for _, e := range h.engines {
			if e.App() == app || app == "" && len(h.engines) == 1 {
				cmd.Println(e.AddressKey().Reveal())
				return h.storage.close()
			}
		}
		return errors.Join(noSuchApp(app, h.engines), h.storage.close())
	})
	cmd.Flags().StringVar(&app, "app", "", "the app's `id`; may be left out if there is only one")
	return cmd
}
