// Command passkeys is a small web app whose people sign in with a passkey that their browser suggests in the e-mail field,
// and with a link by e-mail as long as they have none. Whoever is signed in adds and removes passkeys. It imports watchword
// and has pages of its own. Everything is embedded; what would be sent is at /inbox.
//
//	go run ./examples/passkeys        then open http://localhost:8000, sign in with any address and add a passkey
//
// engine.go is all there is to set up; link.go and keys.go are the two journeys, page.js is the browser's part of the
// second; app.go and users.go are what such an app has anyway.
package main

import (
	"context"
	"log"
	"net/http"
	"time"
)

// origin is what browsers must show, to the letter: http://127.0.0.1:8000 is another site, whose passkeys are others.
const origin = "http://localhost:8000"

func main() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	handler, err := newApp(ctx, origin)
	if err != nil {
		log.Fatal(err)
	}
	web := &http.Server{Addr: "127.0.0.1:8000", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Print(origin, ", what would be sent is at ", origin, "/inbox")
	log.Print(web.ListenAndServe())
}
