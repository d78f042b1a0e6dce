package webauthn_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
	"github.com/watchword-auth/watchword/webauthn"
)

// An app that lets its people sign in with a passkey. Its page runs
//
//	import { authenticate } from "/webauthn.js";
//	const answer = await authenticate(challenge.public);
//
// and hands the answer back to Check.
func Example() {
	keys, err := webauthn.New(webauthn.Config{
		RPID:    "example.com",
		RPName:  "Example",
		Origins: []string{"https://login.example.com"},
		Secret:  watchword.NewCode("32 random bytes, the same on every node"),
	})
	if err != nil {
		log.Fatal(err)
	}
	engine, err := watchword.New(watchword.Config{
		App: "shop", Issuer: "https://verify.example.com",
		Keys: []watchword.Key{newKey("2026-05")}, Identity: newKey("identity"),
		Store: memory.New(memory.Config{}), Factors: &memory.Factors{},
		Strategies: []watchword.Strategy{keys},
	})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("GET /webauthn.js", webauthn.Script())
	http.Handle("/.well-known/webauthn", keys.RelatedOrigins())

	challenge, err := engine.Start(context.Background(), watchword.StartRequest{Strategy: "webauthn", Purpose: "sign_in"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(challenge.Ask, challenge.Public["rpId"], challenge.Public["userVerification"])
	// Output: key example.com required
}

func newKey(id string) watchword.Key {
	key, err := watchword.NewKey(id, []byte("32 random bytes from a file, "+id))
	if err != nil {
		log.Fatal(err)
	}
	return key
}

// An app whose pages add and use passkeys by the module /passkeys/passkeys.js. The session stays the app's own.
func ExampleNewHandler() {
	keys, engine, sessions := newParts()
	passkeys, err := webauthn.NewHandler(webauthn.HandlerConfig{
		Engine: engine, Keys: keys, Subject: sessions.subject, SignIn: sessions.begin,
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/passkeys/", passkeys)

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/passkeys/add", nil)) // what add() sends
	fmt.Println(w.Code, w.Body)
	// Output: 401 {"code":"not_signed_in"}
}

// The sessions of an app. Those of a real app are found by a cookie.
type sessions struct{}

func (sessions) subject(*http.Request) string { return "" }
func (sessions) begin(http.ResponseWriter, *http.Request, *watchword.Claims) error {
	return nil
}

func newParts() (*webauthn.Strategy, *watchword.Engine, sessions) {
	keys, err := webauthn.New(webauthn.Config{
		RPID: "example.com", RPName: "Example", Origins: []string{"https://example.com"},
		Secret:   watchword.NewCode("32 random bytes, the same on every node"),
		Policies: map[string]webauthn.Policy{watchword.PurposeEnrol: {ResidentKey: webauthn.Required}},
	})
	if err != nil {
		log.Fatal(err)
	}
	engine, err := watchword.New(watchword.Config{
		App: "shop", Issuer: "https://example.com", Keys: []watchword.Key{newKey("2026-05")}, Identity: newKey("identity"),
		Store: memory.New(memory.Config{}), Factors: &memory.Factors{}, Strategies: []watchword.Strategy{keys},
	})
	if err != nil {
		log.Fatal(err)
	}
	return keys, engine, sessions{}
}
