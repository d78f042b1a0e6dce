package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// writeProductionConfig generates keys and writes a configuration with them. rest is the YAML of what else it has, such as the
// apps. It returns the configuration's path.
func writeProductionConfig(t *testing.T, redisURL, rest string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("watchword", "keys", "new", "--dir", dir, "--name", "1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	config := `listen: 127.0.0.1:0
redis: "` + redisURL + `"
keyring: [{id: "1", secret_file: keyring-1.key}]
identity_key_file: identity.key
signing: [{kid: "1", key_file: signing-1.pem}]
public_url: https://verify.example.com
allowed_networks: [127.0.0.0/8]
` + rest
	path := filepath.Join(dir, "watchword.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// apiKeyDigest is the digest of an API key in a configuration.
func apiKeyDigest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// writeCertificate writes a test server's certificate to a file for SSL_CERT_FILE.
func writeCertificate(t *testing.T, server *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A codeReceiver is a webhook receiver that keeps the codes of the messages.
type codeReceiver struct {
	*httptest.Server
	codes sync.Map // challenge id → chan string
}

// startCodeReceiver starts a receiver with httptest.NewServer or httptest.NewTLSServer.
func startCodeReceiver(t *testing.T, start func(http.Handler) *httptest.Server) *codeReceiver {
	r := &codeReceiver{}
	r.Server = start(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		var message struct {
			Data struct {
				ChallengeID string `json:"challenge_id"`
				Code        string `json:"code"`
			} `json:"data"`
		}
		if !readSent(t, req, &message) {
			return
		}
		select {
		case r.channel(message.Data.ChallengeID) <- message.Data.Code:
		default: // the message arrived twice
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// readSent reads a webhook request's JSON. It returns false if the server was killed while it sent; what is no JSON fails the test.
func readSent(t *testing.T, req *http.Request, into any) bool {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return false
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Errorf("%v: %q", err, body)
		return false
	}
	return true
}

// channel returns the channel of a challenge's code. Message and reader may come in any order.
func (r *codeReceiver) channel(id string) chan string {
	c, _ := r.codes.LoadOrStore(id, make(chan string, 1))
	return c.(chan string)
}

// waitForCode waits for a challenge's message and returns its code, once. It is empty if no message arrives in time.
func (r *codeReceiver) waitForCode(id string) string {
	defer r.codes.Delete(id)
	select {
	case code := <-r.channel(id):
		return code
	case <-time.After(testTimeout):
		return ""
	}
}

// senderURL is the URL of a sender that sends to the receiver.
func (r *codeReceiver) senderURL() string {
	return "webhook+" + r.URL + "/?secret=" + eventsSecret
}
