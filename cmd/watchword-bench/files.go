package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// serverFiles is a directory with what the servers of a run read: configuration files, keys and the certificate of the sink.
type serverFiles string

// The names of the configuration files.
const (
	defaultLimits = "default-limits.yaml"
	withoutLimits = "without-limits.yaml"
)

const certificateFile = "sink.pem"

// apiKey is the API key of the benchmark's app, for this run.
var apiKey = rand.Text()

// productionConfig is a configuration with placeholders for the API key's digest, the countries and the sender. The key files are
// those of ` + "`watchword keys new`" + `.
const productionConfig = `listen: 127.0.0.1:0
public_url: https://verify.example.com
allowed_networks: [127.0.0.0/8]
keyring: [{id: bench, secret_file: keyring-bench.key}]
identity_key_file: identity.key
signing: [{kid: bench, key_file: signing-bench.pem}]
apps:
  - id: bench
    name: Bench
    keys: [{sha256: %x, scopes: [challenges]}]
    countries: [%s]
    send: {sms: [%q]}
`

// otherChannelLimits has no limits for the channel of the benchmark. A production server does not accept an empty list.
const otherChannelLimits = `    limits: [{name: calls, limit: 1000, window: 1h, by: app, channels: [voice]}]
`

// newServerFiles writes the files to a directory. Without the path of a binary there are no keys, which only that binary reads.
func newServerFiles(dir, watchword string, sink *webhookSink) (serverFiles, error) {
	f := serverFiles(dir)
	if err := sink.writeCertificate(f.path(certificateFile)); err != nil || watchword == "" {
		return f, err
	}
	if out, err := exec.Command(watchword, "keys", "new", "--dir", dir, "--name", "bench").CombinedOutput(); err != nil {
		return f, fmt.Errorf("keys cannot be made: %w: %s", err, out)
	}
	to, err := url.Parse(sink.url())
	if err != nil {
		return f, err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	to.Scheme, to.RawQuery = "webhook+https", url.Values{"secret": {"whsec_" + base64.StdEncoding.EncodeToString(secret)}}.Encode()
	config := fmt.Sprintf(productionConfig, sha256.Sum256([]byte(apiKey)), strings.Join(countries, ", "), to)
	if err := os.WriteFile(f.path(defaultLimits), []byte(config), 0o600); err != nil {
		return f, err
	}
	return f, os.WriteFile(f.path(withoutLimits), []byte(config+otherChannelLimits), 0o600)
}

func (f serverFiles) path(name string) string { return filepath.Join(string(f), name) }

// environ returns the environment of a server: without settings that are not measured, and with the sink's certificate.
func (f serverFiles) environ(cmd *exec.Cmd) []string {
	env := slices.DeleteFunc(cmd.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "WATCHWORD_") })
	return append(env, "SSL_CERT_FILE="+f.path(certificateFile))
}
