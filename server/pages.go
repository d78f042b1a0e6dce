package server

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"reflect"
	"sync"
	"time"
)

// The hosted pages are for the people who answer. They are written per ask (type a code, open a link, scan,
// keep codes, use a key, make a key), never per strategy, and have one shape: a shell that is the same for every id, so that an id alone shows nothing and a GET
// neither reads nor changes anything; and parts, which the shell's script asks for with the secret from its URL's fragment
// and puts in place. Parts are rendered here, in the person's language, so the script knows no words.
//
//	/c/{id}  the page of whoever started; its ticket is exchanged for a cookie that belongs to this one challenge
//	/l/{id}  the page of whoever opens a link; its token stays in the fragment and goes along with each request
//
// Whatever is not known, has expired or was used looks the same, in shape and time.

//go:embed pages
var pageFiles embed.FS

// The two pages.
const (
	challengePage = "challenge"
	linkPage      = "link"
)

// hosted serves the pages of all apps.
type hosted struct {
	server    *Server
	templates *template.Template
	words     words
	shells    map[string][]byte // by language and page
	origins   *http.CrossOriginProtection
	suspects  suspects
}

func (s *Server) newHosted() (*hosted, error) {
	h := &hosted{server: s, shells: map[string][]byte{}, origins: http.NewCrossOriginProtection(), suspects: suspects{seen: map[string]bool{}}}
	var err error
	if h.words, err = loadWords(pageFiles); err != nil {
		return nil, err
	}
	if h.templates, err = template.ParseFS(pageFiles, "pages/*.html"); err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	for language := range h.words.texts {
		for _, page := range []string{challengePage, linkPage} {
			if h.shells[language+page], err = h.shell(shellView{language: h.words.in(language), Page: page, Script: true}); err != nil {
				return nil, err
			}
		}
	}
	for _, a := range s.apps {
		u, err := url.Parse(a.publicURL)
		if err == nil {
			err = h.origins.AddTrustedOrigin(u.Scheme + "://" + u.Host)
		}
		if err != nil {
			return nil, fmt.Errorf("pages: public URL: %w", err)
		}
	}
	return h, nil
}

// A shellView is what a shell shows: a body or, for the script to fill, none.
type shellView struct {
	language
	Page   string
	Script bool
	Body   template.HTML
	Form   bool // the body is the form that works without script
	Error  string
}

func (h *hosted) shell(v shellView) ([]byte, error) {
	var out bytes.Buffer
	err := h.templates.ExecuteTemplate(&out, "shell.html", v)
	return out.Bytes(), err
}

// document answers with a whole page that needs no script.
func (h *hosted) document(x *exchange, status int, v shellView) {
	page, err := h.shell(v)
	if err != nil {
		x.fail(fmt.Errorf("pages: %w", err))
		return
	}
	x.send(status, typeHTML, page)
}

// routes adds the pages to the server's mux, and to the list of which path takes which method.
func (h *hosted) routes(methods map[string][]string) error {
	add := func(method, path string, serve func(*exchange)) {
		methods[path] = append(methods[path], method)
		h.server.mux.Handle(method+" "+path, handler(func(x *exchange) {
			x.arrived = time.Now()
			pageHeaders(x.Header())
			serve(x)
		}))
	}
	add(http.MethodGet, "/c/{id}", func(x *exchange) { h.serveShell(x, challengePage) })
	add(http.MethodGet, "/c/{id}/state", h.state)
	add(http.MethodGet, "/c/{id}/events", h.events)
	add(http.MethodPost, "/c/{id}/open", posted(h, h.openChallenge))
	add(http.MethodPost, "/c/{id}/answer", posted(h, h.answerChallenge))
	add(http.MethodPost, "/c/{id}/resend", posted(h, h.resendChallenge))
	add(http.MethodPost, "/c/{id}/cancel", posted(h, h.cancelChallenge))
	add(http.MethodGet, "/l/{id}", func(x *exchange) {
		h.watchScanners(x)
		h.serveShell(x, linkPage)
	})
	add(http.MethodPost, "/l/{id}", h.answerWithoutScript)
	add(http.MethodPost, "/l/{id}/open", posted(h, h.openLink))
	add(http.MethodPost, "/l/{id}/answer", posted(h, h.answerLink))
	add(http.MethodPost, "/l/{id}/report", posted(h, h.reportLink))
	for name, contentType := range map[string]string{"page.css": "text/css; charset=utf-8", "page.js": typeScript, "keys.js": typeScript} {
		file, err := pageFiles.ReadFile("pages/" + name)
		if err != nil {
			return err
		}
		add(http.MethodGet, "/pages/"+name, func(x *exchange) { x.send(http.StatusOK, contentType, file) })
	}
	return nil
}

const (
	typeHTML   = "text/html; charset=utf-8"
	typeScript = "text/javascript; charset=utf-8"
)

// pagePolicy is the pages' Content-Security-Policy: their own style and script, pictures that stand in the page itself
// (logos, QR codes), and nothing from elsewhere.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

// pagePermissions leaves the pages what they use: keys, and codes out of text messages.
const pagePermissions = "publickey-credentials-get=(self), publickey-credentials-create=(self), otp-credentials=(self), camera=(), microphone=(), " +
	"geolocation=(), payment=(), usb=(), serial=(), hid=(), bluetooth=(), clipboard-read=(), display-capture=(), screen-wake-lock=()"

func pageHeaders(h http.Header) {
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Permissions-Policy", pagePermissions)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Vary", "Accept-Language, Cookie")
}

func (h *hosted) serveShell(x *exchange, page string) {
	x.send(http.StatusOK, typeHTML, h.shells[h.words.accepted(x.request).Lang+page])
}

// posted reads what a page's script sends: JSON, which no form of another site can send, from a page of ours.
func posted[In any](h *hosted, serve func(*exchange, *In)) func(*exchange) {
	decoder := newDecoder(reflect.TypeFor[In]())
	return func(x *exchange) {
		in := new(In)
		if err := h.read(x, func(body []byte) error {
			if err := checkContentType(x.request.Header); err != nil {
				return err
			}
			return decoder.decode(body, in)
		}); err != nil {
			x.fail(err)
			return
		}
		serve(x, in)
	}
}

// read hands over the body of a request that comes from a page of ours. Browsers say so by Sec-Fetch-Site or Origin.
func (h *hosted) read(x *exchange, decode func(body []byte) error) error {
	if err := h.origins.Check(x.request); err != nil {
		return refuseFor(codeForbidden, "The request comes from another origin than the page's.")
	}
	body, err := readBody(x, x.request)
	if err != nil {
		return err
	}
	return decode(body)
}

// owner is the app whose challenge an id is; nil: nobody's.
func (h *hosted) owner(x *exchange) *app {
	for _, a := range h.server.apps {
		if a.engine.OwnsChallenge(x.request.PathValue("id")) {
			x.app = a
			return a
		}
	}
	return nil
}

// A part is what a page's script puts in place.
type part struct {
	HTML  string            `json:"html"`
	Lang  string            `json:"lang"`
	Title string            `json:"title"`
	Theme map[string]string `json:"theme,omitempty"` // CSS variables
	Final bool              `json:"final,omitempty"` // nothing more will happen here
	Next  string            `json:"next,omitempty"`  // where to go on to
}

func (h *hosted) render(name string, v *partView) (part, error) {
	var out bytes.Buffer
	err := h.templates.ExecuteTemplate(&out, name, v)
	title, _ := v.T("title")
	p := part{HTML: out.String(), Lang: v.Lang, Title: title, Final: v.final, Next: string(v.Next)}
	if v.app != nil {
		p.Title, p.Theme = title+" · "+v.App, v.app.pages.theme
	}
	return p, err
}

// show answers with a part.
func (h *hosted) show(x *exchange, status int, name string, v *partView) {
	p, err := h.render(name, v)
	body, errJSON := json.Marshal(p)
	if err := errors.Join(err, errJSON); err != nil {
		x.fail(fmt.Errorf("page %q: %w", name, err))
		return
	}
	x.send(status, typeJSON, body)
}

// suspects are ids of links that programs seem to have opened, so that the operator hears of each once. They are
// bounded: when there are too many, all are forgotten.
type suspects struct {
	mu   sync.Mutex
	seen map[string]bool
}

const maxSuspects = 4096

// first reports whether an id is new.
func (s *suspects) first(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[id] {
		return false
	}
	if len(s.seen) >= maxSuspects {
		clear(s.seen)
	}
	s.seen[id] = true
	return true
}
