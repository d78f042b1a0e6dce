// Command webapp is a small web app that verifies its users' mailboxes: a second step at sign-in, and a code before a
// password reset. It imports watchword. Everything is embedded. Messages are not sent; they are at /inbox.
//
//	go run ./examples/webapp        then open http://localhost:8000, sign in as ann@example.com with "correct horse"
//
// engine.go wires watchword, mfa.go and reset.go use it, users.go is what such an app has anyway.
package main

import (
	"context"
	"log"
	"net/http"
	"time"
)

func main() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	handler, err := newApp(ctx)
	if err != nil {
		log.Fatal(err)
	}
	web := &http.Server{Addr: "127.0.0.1:8000", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Print("http://localhost:8000, what would be sent is at http://localhost:8000/inbox")
	log.Print(web.ListenAndServe())
}
