// Command webapp is a small web app that has its users prove their mailbox by importing watchword: a second step when
// they sign in, and a code before they choose a new password. Everything is embedded; what would be sent is at /inbox.
//
//	go run ./examples/webapp        then open http://localhost:8000, sign in as ann@example.com with "correct horse"
//
// engine.go is all there is to set up, mfa.go and reset.go are the two journeys, users.go is what such an app has anyway.
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
