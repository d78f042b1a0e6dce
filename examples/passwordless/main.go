// Command passwordless is a small web app that imports watchword and shows its hosted pages. Users sign in with a link by e-mail,
// which they may open on another device. It needs no other services; messages are not sent but shown at /inbox.
//
//	go run ./examples/passwordless        then open http://localhost:8000 and sign in with any address
//
// To see both devices, open http://localhost:8000/inbox in another browser (or a private window) and follow the link
// there: it asks for the number that the first browser shows, and then the first browser continues by itself. In the same
// browser the link only asks for a click.
//
// service.go configures watchword, app.go is the sign-in.
package main

import (
	"context"
	"log"
	"net/http"
	"time"
)

const origin = "http://localhost:8000"

func main() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	handler, err := newApp(ctx, origin)
	if err != nil {
		log.Fatal(err)
	}
	// No WriteTimeout: a hosted page keeps a response open during the lifetime of its challenge, and limits that itself.
	web := &http.Server{Addr: "127.0.0.1:8000", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Print(origin, ", messages are at ", origin, "/inbox")
	log.Print(web.ListenAndServe())
}
