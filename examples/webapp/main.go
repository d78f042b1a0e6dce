// Command webapp is a small web app that imports watchword. The second step of its sign-in is a verification on the hosted page: a
// code by e-mail or, for users who have set one up, an authenticator app. A password reset is a verification on the app's own page.
// It needs no other services; messages are not sent but shown at /inbox.
//
//	go run ./examples/webapp        then open http://localhost:8000, sign in as ann@example.com with "correct horse"
//
// service.go configures watchword, mfa.go is the sign-in, return.go the way back from a hosted page, reset.go the password reset.
// users.go and app.go are ordinary parts of a web app.
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
	// No WriteTimeout: a hosted page keeps a response open while its challenge lives, and limits that itself.
	web := &http.Server{Addr: "127.0.0.1:8000", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Print(origin, ", messages are at ", origin, "/inbox")
	log.Print(web.ListenAndServe())
}
