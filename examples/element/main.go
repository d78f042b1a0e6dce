// Command element is a small web app with watchword's parts on its own pages: <watchword-verification>. Users sign in with a passkey, which
// the browser suggests in the e-mail field, or with a code or link by e-mail, without leaving the app's page. watchword's server runs at
// another origin, as in production. The app needs no other services; messages are not sent but shown at /inbox.
//
//	go run ./examples/element                          then open http://localhost:8000
//	npm --prefix examples/element/react start          the same with React; needs npm
//
// engine.go configures watchword, verify.go is the sign-in, app.go and sessions.go are ordinary parts of a web app. plain has the page as
// plain HTML, and react with React.
package main

import (
	"context"
	"embed"
	"flag"
	"io/fs"
	"log"
	"net/http"
	"os"
	"time"
)

// The origins of the app and of watchword's server. Passkeys work at both, because their host is the relying-party id, localhost.
const (
	appOrigin    = "http://localhost:8000"
	verifyOrigin = "http://localhost:8080"
)

//go:embed plain
var files embed.FS

func main() {
	folder := flag.String("page", "", "folder of the page: index.html and page.js; empty: the plain HTML page")
	flag.Parse()
	page, err := fs.Sub(files, "plain")
	if *folder != "" {
		page = os.DirFS(*folder)
	}
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	app, verify, err := newApp(ctx, appOrigin, verifyOrigin, page)
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(listen("127.0.0.1:8080", verify)) }()
	log.Print(appOrigin, ", messages are at ", appOrigin, "/inbox")
	log.Fatal(listen("127.0.0.1:8000", app))
}

// listen serves a handler. There is no WriteTimeout: watchword keeps a response open while a verification lives, and limits that itself.
func listen(address string, handler http.Handler) error {
	return (&http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 5 * time.Second}).ListenAndServe()
}
