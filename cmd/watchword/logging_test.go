package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestLibraryLoggerLogsKindWithoutText(t *testing.T) {
	for message, kind := range map[string]string{
		`Unsolicited response received on idle HTTP channel starting with "492039"; err=EOF`: "unsolicited response on an idle connection",
		"http: Accept error: 492039; retrying in 5ms":                                        "connection not accepted",
		"http: TLS handshake error from 192.0.2.1:1: 492039":                                 "TLS handshake failed",
		"http: panic serving 192.0.2.1:1: 492039\ngoroutine 1\n\tmain.go":                    "panic in a handler",
		"http2: 492039": "HTTP/2",
		"net/http: invalid Cookie.Domain \"492039\"; dropping domain attribute": "HTTP",
		"492039\n{\"level\":\"ERROR\"}":                                         "unknown",
		"":                                                                      "unknown",
	} {
		var out syncBuffer
		libraryLogger(newLogger(&out, slog.LevelInfo)).Print(message)
		var record struct{ Level, Kind string }
		if err := json.Unmarshal([]byte(out.String()), &record); err != nil || record.Level != "WARN" || record.Kind != kind {
			t.Errorf("%q: %v, %s; want one record of kind %q", message, err, out.String(), kind)
		}
		if strings.Contains(out.String(), "92039") || strings.Contains(out.String(), "192.0.2.1") {
			t.Errorf("%q is in %s", message, out.String())
		}
	}
}

func TestServerLogsPanicWithoutItsText(t *testing.T) {
	var out syncBuffer
	p := &serverProcess{log: newLogger(&out, slog.LevelInfo)}
	web := httptest.NewUnstartedServer(nil)
	web.Config = p.newHTTPServer("", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("492039") }), 10)
	web.Start()
	defer web.Close()
	if _, err := http.Get(web.URL); err == nil {
		t.Error("a request whose handler panics got a reply")
	}
	waitFor(t, "true", func() string {
		return map[bool]string{true: "true"}[strings.Contains(out.String(), "panic in a handler")]
	})
	if text := out.String(); !json.Valid([]byte(text)) || strings.Contains(text, "492039") || strings.Contains(text, "127.0.0.1") {
		t.Errorf("unexpected log: %s", text)
	}
}
