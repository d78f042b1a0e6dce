// Command passkeys is a small web app that imports watchword and has its own pages. Users sign in with a passkey that the browser
// suggests in the e-mail field, or with a link by e-mail if they have none. Signed-in users add and remove passkeys. The app
// needs no other services; messages are not sent but shown at /inbox.
//
//	go run ./examples/passkeys        then open http://localhost:8000, sign in with any address and add a passkey
//
// service.go configures watchword, link.go is the sign-in by link, keys.go and page.js are the passkeys. app.go and users.go are
// ordinary parts of a web app.
package main

import (
	"context"
	"log"
	"net/http"
	"time"
)

// origin is the only origin at which the passkeys work: for browsers, http://127.0.0.1:8000 is another site.
const origin = "http://localhost:8000"

func main() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	handler, err := newApp(ctx, origin)
	if err != nil {
		log.Fatal(err)
	}
	web := &http.Server{Addr: "127.0.0.1:8000", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Print(origin, ", messages are at ", origin, "/inbox")
	log.Print(web.ListenAndServe())
}
