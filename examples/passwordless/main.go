// Command passwordless is a small web app where people sign in with a link by e-mail, on any device. It imports watchword
// and shows its hosted pages. Everything is embedded. Messages are not sent; they are at /inbox.
//
//	go run ./examples/passwordless        then open http://localhost:8000 and sign in with any address
//
// To see two devices, open http://localhost:8000/inbox in another browser (or a private window) and open the link there.
// It asks for the number that the first browser shows, and the first browser goes on by itself. In the same browser the
// link asks for a click only.
//
// engine.go wires watchword, app.go signs people in.
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
	// Pages are kept up to date as long as a challenge lives, so writing may take long; the pages bound it themselves.
	web := &http.Server{Addr: "127.0.0.1:8000", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Print(origin, ", what would be sent is at ", origin, "/inbox")
	log.Print(web.ListenAndServe())
}
