// Package playground is a web page of development mode on which every way to verify can be tried.
//
// The page uses the public API with the API keys of development mode, and shows requests, answers, events and the receipt. It is for
// development only: its address gives away the keys. A server in production must not mount it.
package playground

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"path"
	"strconv"
	"sync"

	"github.com/watchword-auth/watchword/internal/localonly"
	"github.com/watchword-auth/watchword/internal/webstyle"
)

//go:embed web
var webFiles embed.FS

// maxEvents is the number of events that a Playground keeps.
const maxEvents = 200

// pagePolicy is the Content-Security-Policy of the page. It loads nothing from elsewhere; images are QR codes in data URLs.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; form-action 'none'; " +
	"base-uri 'none'; frame-ancestors 'none'"

// Config configures a Playground. All fields are required.
type Config struct {
	PublicURL string // of the app: the origin for passkeys, the return URL of hosted pages, and the issuer of receipts
	Key       string // an API key with the scopes challenges and factors
	AdminKey  string // an API key with the scope factors:admin too, which changes factors without a proof
	App       string // the id of the app, the audience of receipts
}

// A Playground serves the page and keeps the latest events for it, in memory. It is safe for concurrent use.
type Playground struct {
	mu     sync.Mutex
	count  int      // events ever added
	events [][]byte // the newest, as JSON objects
}

// New returns a Playground without events.
func New() *Playground { return &Playground{} }

// AddEvent adds an event as webhook endpoints get it, a JSON object. The oldest is dropped if there are too many.
func (p *Playground) AddEvent(body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	if len(p.events) == maxEvents {
		p.events = p.events[1:]
	}
	p.events = append(p.events, bytes.Clone(body))
}

// newEvents is the response of GET /playground/events.
type newEvents struct {
	Newest int               `json:"newest"` // the number of the newest event ever added; 0: none
	Events []json.RawMessage `json:"events"` // oldest first
}

// since returns the events with a higher number than after. A number that was not given yet stands for no event: the server has
// started again.
func (p *Playground) since(after int) newEvents {
	p.mu.Lock()
	defer p.mu.Unlock()
	if after > p.count {
		after = 0
	}
	found := newEvents{Newest: p.count, Events: []json.RawMessage{}}
	for i, body := range p.events {
		if number := p.count - len(p.events) + i + 1; number > after {
			found.Events = append(found.Events, body)
		}
	}
	return found
}

// Handler returns the handler of the page: GET / and everything below /playground/. It refuses requests with 403 unless their Host is
// a loopback name and they come from no page of another origin.
func (p *Playground) Handler(cfg Config) (http.Handler, error) {
	t, err := template.ParseFS(webFiles, "web/page.html")
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	if err := t.Execute(&page, cfg); err != nil {
		return nil, err
	}
	style, err := webFiles.ReadFile("web/page.css")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", serve("text/html; charset=utf-8", page.Bytes()))
	mux.Handle("GET /playground/page.css", serve("text/css; charset=utf-8", append([]byte(webstyle.Tools()), style...)))
	mux.HandleFunc("GET /playground/events", p.serveEvents)
	scripts, err := webFiles.ReadDir("web")
	for _, file := range scripts {
		if path.Ext(file.Name()) != ".js" {
			continue
		}
		source, err := webFiles.ReadFile("web/" + file.Name())
		if err != nil {
			return nil, err
		}
		mux.Handle("GET /playground/"+file.Name(), serve("text/javascript; charset=utf-8", source))
	}
	return localonly.Handler(mux), err
}

// serveEvents returns the events that are newer than that with the number in the parameter after.
func (p *Playground) serveEvents(w http.ResponseWriter, r *http.Request) {
	after, _ := strconv.Atoi(r.URL.Query().Get("after"))
	setHeaders(w, "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(p.since(after))
}

func serve(contentType string, body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		setHeaders(w, contentType)
		_, _ = w.Write(body)
	})
}

func setHeaders(w http.ResponseWriter, contentType string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
}
