package webauthn

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
)

func TestRelatedOriginsServesTheDocument(t *testing.T) {
	cfg := testConfig()
	cfg.RelatedOrigins = []string{"https://example.de", "https://example.co.uk:8443"}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.RelatedOrigins().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/.well-known/webauthn", nil))
	if got := strings.TrimSpace(w.Body.String()); w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" ||
		got != `{"origins":["https://example.de","https://example.co.uk:8443"]}` {
		t.Errorf("%d %s %s", w.Code, w.Header(), got)
	}
	w = httptest.NewRecorder()
	s.RelatedOrigins().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/.well-known/webauthn", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
	w = httptest.NewRecorder()
	newKit(t).strategy.RelatedOrigins().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/.well-known/webauthn", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("without related origins: %d", w.Code)
	}
}

func TestScriptAllowsEveryOrigin(t *testing.T) {
	w := httptest.NewRecorder()
	Script().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/webauthn.js", nil))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" ||
		w.Header().Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(w.Body.String(), "export async function autofill") {
		t.Errorf("%d %s", w.Code, w.Header())
	}
	preflight := httptest.NewRecorder()
	Script().ServeHTTP(preflight, httptest.NewRequest(http.MethodOptions, "/webauthn.js", nil))
	if preflight.Code != http.StatusNoContent || preflight.Body.Len() > 0 || preflight.Header().Get("Access-Control-Allow-Methods") != "GET, HEAD" {
		t.Errorf("OPTIONS: %d %s", preflight.Code, preflight.Header())
	}
	for _, h := range []http.Header{w.Header(), preflight.Header()} {
		if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("for pages of other origins: %v", h)
		}
	}
}

func TestSignalArguments(t *testing.T) {
	k := newKit(t)
	first, second := newDevice(t), newDevice(t)
	f := k.enrol("user_42", first)
	k.enrol("user_42", second)
	if err := k.RemoveFactor(context.Background(), f.ID, watchword.Authority{Admin: true}); err != nil {
		t.Fatal(err)
	}
	factors, err := k.ListFactors(context.Background(), "user_42")
	if err != nil {
		t.Fatal(err)
	}
	factors = append(factors, watchword.Factor{Strategy: "totp"},
		watchword.Factor{Strategy: "webauthn", Disabled: true, Public: map[string]any{"credential_id": "AAAA", "rp_id": "example.com"}},
		watchword.Factor{Strategy: "webauthn", Public: map[string]any{"credential_id": "AAAA", "rp_id": "example.net"}})
	want := AcceptedKeys{RPID: "example.com", UserID: b64.EncodeToString(second.handle), CredentialIDs: []string{b64.EncodeToString(second.id)}}
	if got := k.strategy.AcceptedKeys("shop", "user_42", factors); !reflect.DeepEqual(got, want) {
		t.Errorf("accepted %+v, want %+v", got, want)
	}
	if got, _ := json.Marshal(k.strategy.AcceptedKeys("shop", "nobody", nil)); !strings.Contains(string(got), `"allAcceptedCredentialIds":[]`) {
		t.Errorf("a subject without keys: %s", got)
	}

	for _, d := range []*device{first, second} {
		a := k.startChallenge("sign_in", "")
		id, u, ok := k.strategy.UnknownKey("shop", d.get(a.options))
		_, err := k.GetFactor(context.Background(), id)
		if !ok || u != (UnknownKey{"example.com", b64.EncodeToString(d.id)}) || (err == nil) != (d == second) {
			t.Errorf("unknown: %+v, %v", u, err)
		}
	}
	if _, _, ok := k.strategy.UnknownKey("shop", "{}"); ok {
		t.Error("read a key out of nothing")
	}
}

// The table of models is well formed.
func TestModelTableIsReadable(t *testing.T) {
	names := parseModelTable()
	if len(names) < 50 || names["ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"] != "Google Password Manager" {
		t.Errorf("%d names", len(names))
	}
	for id, name := range names {
		parsed, err := parseAAGUIDs([]string{id})
		if err != nil || !parsed[id] || name == "" || strings.TrimSpace(name) != name {
			t.Errorf("%q is %q: %v", id, name, err)
		}
	}
}
