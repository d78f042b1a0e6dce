package main

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// A scriptSink is a webhook receiver that accepts everything, except that it answers at /status/N with that status. Scripts that
// need a sender that works name it in their configurations, as $SINK.
type scriptSink struct{ address, certificate string }

func startSink(t *testing.T) scriptSink {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/status/")); err == nil {
			w.WriteHeader(status)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(s.Close)
	return scriptSink{strings.TrimPrefix(s.URL, "https://"), writeCertificate(t, s)}
}

// configure writes the sink's address into a script's configurations, and makes its programs trust the sink.
func (s scriptSink) configure(env *testscript.Env) error {
	env.Setenv("SSL_CERT_FILE", s.certificate)
	return filepath.WalkDir(env.WorkDir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, bytes.ReplaceAll(text, []byte("$SINK"), []byte(s.address)), 0o600)
	})
}
