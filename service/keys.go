package service

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/keyfiles"
	"github.com/watchword-auth/watchword/receipt"
)

// Keys are the keys of an app. Keep them as long as the app lives: without them, what people have enrolled cannot be read. They cannot be
// printed.
type Keys struct {
	Ring     []watchword.Key // the first encrypts; all decrypt
	Identity watchword.Key   // does not change when the ring does
	Signing  []receipt.Key   // the first signs receipts; all are published. Empty: Service.Signer is nil

	identity func() []byte // the secret of Identity
}

// Files of a folder of keys, as `watchword keys new --dir` writes them.
const (
	identityFile = "identity.key"
	ringPattern  = "keyring-*.key"
	signPattern  = "signing-*.pem"
	activeFile   = "active"
)

// LoadKeys reads the keys that `watchword keys new --dir` wrote to a folder: identity.key, and keyring-NAME.key and signing-NAME.pem
// for each name. If there are several names, a file called active must contain the one that encrypts and signs, so that another
// one takes over when you say so: when every process has its files.
func LoadKeys(dir string) (Keys, error) {
	identity, err := keyfiles.ReadSecret(filepath.Join(dir, identityFile))
	if err != nil {
		return Keys{}, fmt.Errorf("service: identity key: %w", err)
	}
	ringFiles, errRing := filesByName(dir, ringPattern)
	signFiles, errSign := filesByName(dir, signPattern)
	if err := errors.Join(errRing, errSign); err != nil {
		return Keys{}, fmt.Errorf("service: keys: %w", err)
	}
	if len(ringFiles) == 0 {
		return Keys{}, fmt.Errorf("service: keys: %s has no file %s; `watchword keys new --dir %s` writes one", dir, ringPattern, dir)
	}
	active, err := readActiveName(dir, ringFiles)
	if err != nil {
		return Keys{}, fmt.Errorf("service: keys: %w", err)
	}
	keys, err := newKeys(identity)
	if err != nil {
		return Keys{}, err
	}
	for _, f := range activeFirst(ringFiles, active) {
		secret, err := keyfiles.ReadSecret(f.path)
		if err != nil {
			return Keys{}, fmt.Errorf("service: keyring: %w", err)
		}
		key, err := watchword.NewKey(f.name, secret)
		if err != nil {
			return Keys{}, fmt.Errorf("service: keyring: %w", err)
		}
		keys.Ring = append(keys.Ring, key)
	}
	for _, f := range activeFirst(signFiles, active) {
		text, err := keyfiles.ReadText(f.path)
		if err != nil {
			return Keys{}, fmt.Errorf("service: signing key: %w", err)
		}
		key, err := receipt.ParseKey(f.name, []byte(text))
		if err != nil {
			return Keys{}, fmt.Errorf("service: signing key: %s: %w", f.path, err)
		}
		keys.Signing = append(keys.Signing, key)
	}
	return keys, nil
}

// NewKeys returns random keys for tests and examples. What is encrypted with them is lost with the process.
func NewKeys() (Keys, error) {
	secrets := make([]byte, 64)
	if _, err := rand.Read(secrets); err != nil {
		return Keys{}, fmt.Errorf("service: keys: %w", err)
	}
	keys, err := newKeys(secrets[:32])
	if err != nil {
		return Keys{}, err
	}
	ring, err := watchword.NewKey("1", secrets[32:])
	if err != nil {
		return Keys{}, err
	}
	signing, err := receipt.GenerateKey("1", receipt.EdDSA)
	keys.Ring, keys.Signing = []watchword.Key{ring}, []receipt.Key{signing}
	return keys, err
}

func newKeys(identity []byte) (Keys, error) {
	key, err := watchword.NewKey(keyfiles.IdentityKeyID, identity)
	return Keys{Identity: key, identity: func() []byte { return identity }}, err
}

// PasskeySecret returns webauthn.Config.Secret for an app. It is the same as that of `watchword serve` with the same identity key. It is
// empty, which webauthn.New refuses, if the Keys are not from LoadKeys or NewKeys.
func (k Keys) PasskeySecret(app string) watchword.Code {
	if k.identity == nil {
		return watchword.Code{}
	}
	secret, err := keyfiles.DeriveUserHandleSecret(k.identity(), app)
	if err != nil { // HKDF fails for longer secrets only
		return watchword.Code{}
	}
	return secret
}

func (k Keys) isZero() bool { return len(k.Ring) == 0 }

// A namedFile is a file of a key. The name is that of the key.
type namedFile struct{ name, path string }

// filesByName returns the files of a folder that match a pattern with one star, which stands for the name, in the order of the names.
func filesByName(dir, pattern string) (files []namedFile, err error) {
	prefix, suffix, _ := strings.Cut(pattern, "*")
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		name, hasPrefix := strings.CutPrefix(entry.Name(), prefix)
		name, hasSuffix := strings.CutSuffix(name, suffix)
		if hasPrefix && hasSuffix && name != "" {
			files = append(files, namedFile{name, filepath.Join(dir, entry.Name())})
		}
	}
	return files, err
}

// readActiveName returns the name of the active key: the only one, or the one that the file "active" contains.
func readActiveName(dir string, files []namedFile) (string, error) {
	text, err := keyfiles.ReadText(filepath.Join(dir, activeFile))
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(files) == 1:
		return files[0].name, nil
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%s has the keys %s, and no file %q that contains the name of the active one", dir, namesOf(files), activeFile)
	case err != nil:
		return "", err
	}
	name := strings.TrimSpace(text)
	if !slices.ContainsFunc(files, func(f namedFile) bool { return f.name == name }) {
		return "", fmt.Errorf("%s: contains none of the names %s", filepath.Join(dir, activeFile), namesOf(files))
	}
	return name, nil
}

func namesOf(files []namedFile) string {
	var names []string
	for _, f := range files {
		names = append(names, f.name)
	}
	return strings.Join(names, ", ")
}

// activeFirst returns the files with the active one first.
func activeFirst(files []namedFile, active string) []namedFile {
	sorted := slices.Clone(files)
	slices.SortStableFunc(sorted, func(a, b namedFile) int {
		switch active {
		case a.name:
			return -1
		case b.name:
			return 1
		}
		return 0
	})
	return sorted
}
