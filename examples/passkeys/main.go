// Command passkeys is a small web app with passkeys. People sign in with a passkey that the browser suggests in the e-mail
// field, or with a link by e-mail if they have none. When they are signed in, they add and remove passkeys. The app imports
// watchword and has its own pages. Everything is embedded. Messages are not sent; they are at /inbox.
//
//	go run ./examples/passkeys        then open http://localhost:8000, sign in with any address and add a passkey
//
// engine.go wires watchword. link.go and keys.go are the two ways to sign in, and page.js is the browser's part of the
// second. app.go and users.go are what such an app has anyway.
package main

import (
	"context"
	"log"
	"net/http"
	"time"
)

// origin must be exactly what the browser shows: http://127.0.0.1:8000 is another site, with other passkeys.
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
