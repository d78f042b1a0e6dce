// Command webapp is a small web app that imports watchword. Its users type a code from an e-mail as the second step of a sign-in,
// and before they choose a new password. It needs no other services; messages are not sent but shown at /inbox.
//
//	go run ./examples/webapp        then open http://localhost:8000, sign in as ann@example.com with "correct horse"
//
// engine.go configures watchword, mfa.go is the sign-in, reset.go the password reset. users.go and app.go are ordinary parts of
// a web app.
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
	log.Print("http://localhost:8000, messages are at http://localhost:8000/inbox")
	log.Print(web.ListenAndServe())
}
