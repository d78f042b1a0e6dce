package server

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"sync"
	"time"
)

// The hosted pages serve the people who answer challenges. There is one page per ask (type a code, open a link, scan, keep
// codes, use a key, add a key), not per strategy.
//
// A page has a shell and a part. The shell is the same for every id of a host, so a GET neither reads nor changes a challenge and
// an id alone reveals nothing. The shell's script requests the part with the secret from the URL's fragment and inserts it.
// The server renders parts in the person's language, so the script contains no texts.
//
//	/c/{id}  the page of a challenge, for the person who started it. Its ticket is exchanged for a cookie of this challenge.
//	/v/{id}  the page of a verification, for the same person, in the same way.
//	         The element on an app's own page sends the same requests with a bearer; see pages_element.go.
//	/l/{id}  the page of a magic link. Its token stays in the fragment, and the script sends it with each request.
//
// A path that does not exist has a page too; see pages_not_found.go.
//
// Unknown, expired and used challenges get the same response, after the same time.

//go:embed pages
var pageFiles embed.FS

// The names of the pages.
const (
	challengePage    = "challenge"
	linkPage         = "link"
	verificationPage = "verification"
)

// A pageServer serves the hosted pages of all apps.
type pageServer struct {
	server         *Server
	templates      *template.Template
	builtInTexts   *Translations
	assets         *pageAssets     // without a brand
	sites          map[string]*app // by the host of their public URL
	origins        *http.CrossOriginProtection
	elementOrigins map[string]map[string]bool // the origins of apps' own pages, by the host of the public URL; of all apps under ""
	suspectedLinks linkSet
	pageLocks      pageLocks
}

func (s *Server) newPageServer() (*pageServer, error) {
	ps := &pageServer{server: s, origins: http.NewCrossOriginProtection(), suspectedLinks: linkSet{ids: map[string]bool{}}}
	var err error
	if ps.builtInTexts, err = LoadTranslations(nil); err != nil {
		return nil, err
	}
	if ps.assets, err = builtInAssets(); err != nil {
		return nil, err
	}
	if ps.templates, err = parseTemplates(); err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	for _, a := range s.apps {
		a.pages.assets = ps.assets.withTheme(a.pages.brand.theme)
		if a.pages.texts == nil {
			a.pages.texts = ps.builtInTexts
		}
	}
	return ps, ps.indexSites()
}

// betweenElements matches the ends of lines that stand between elements, where they mean nothing.
var betweenElements = regexp.MustCompile(`([>}])\n+([<{])`)

// parseTemplates returns the templates of the shell and the parts, without line ends that would be sent with each part.
func parseTemplates() (*template.Template, error) {
	all := template.New("")
	for _, name := range []string{"shell.html", "parts.html"} {
		source, err := pageFiles.ReadFile("pages/" + name)
		if err != nil {
			return nil, err
		}
		for range 2 { // matches do not overlap
			source = betweenElements.ReplaceAll(source, []byte("$1$2"))
		}
		if _, err := all.New(name).Parse(string(source)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// A shellView is the data of the shell template. Without Body and Form the shell is empty and its script fills it.
type shellView struct {
	pageTexts
	brand
	Assets    *pageAssets
	AssetPath string // the path of the assets; empty: relative to a page such as /c/{id}
	Page      string
	Title     string // of the tab; empty: that of a page that its script fills
	Scripts   bool
	Body      template.HTML
	Form      bool // show the form that works without script
	Error     string
}

// writePage responds with a whole page, without script unless v has Scripts.
func (ps *pageServer) writePage(x *exchange, status int, v shellView) {
	var page bytes.Buffer
	v.Assets, v.AssetPath = ps.siteAssets(x.request), cmp.Or(v.AssetPath, "../pages")
	if err := ps.templates.ExecuteTemplate(&page, "shell.html", v); err != nil {
		x.writeProblem(fmt.Errorf("pages: %w", err))
		return
	}
	body := page.Bytes()
	if v.Scripts && acceptsCoding(x.request.Header, "gzip") { // a page that the script fills, so nothing secret is compressed
		x.Header().Set("Content-Encoding", "gzip")
		body = compress(body)
	}
	x.writeBody(status, contentTypeHTML, body)
}

// registerRoutes adds the pages to the server's mux, and their methods to the methods of each path.
func (ps *pageServer) registerRoutes(methods map[string][]string) {
	add := func(method, path string, serve func(*exchange)) {
		methods[path] = append(methods[path], method)
		ps.server.mux.Handle(method+" "+path, exchangeHandler(func(x *exchange) {
			x.arrivedAt = time.Now()
			setPageHeaders(x.Header())
			serve(x)
		}))
	}
	add(http.MethodGet, "/c/{id}", func(x *exchange) { ps.serveShell(x, challengePage) })
	add(http.MethodGet, "/c/{id}/state", ps.serveState)
	add(http.MethodGet, "/c/{id}/events", ps.serveEvents)
	add(http.MethodPost, "/c/{id}/open", decodeJSON(ps, ps.openChallenge))
	add(http.MethodPost, "/c/{id}/answer", decodeJSON(ps, ps.answerChallenge))
	add(http.MethodPost, "/c/{id}/resend", decodeJSON(ps, ps.resendChallenge))
	add(http.MethodPost, "/c/{id}/cancel", decodeJSON(ps, ps.cancelChallenge))
	add(http.MethodGet, "/l/{id}", func(x *exchange) {
		ps.detectScanner(x)
		ps.serveShell(x, linkPage)
	})
	add(http.MethodPost, "/l/{id}", ps.answerWithoutScript)
	add(http.MethodPost, "/l/{id}/open", decodeJSON(ps, ps.openLink))
	add(http.MethodPost, "/l/{id}/answer", decodeJSON(ps, ps.answerLink))
	add(http.MethodPost, "/l/{id}/report", decodeJSON(ps, ps.reportLink))
	ps.addVerificationRoutes(add)
	ps.addElementRoutes(add)
	add(http.MethodGet, "/pages/{name}", ps.serveAsset)
}

const (
	contentTypeHTML   = "text/html; charset=utf-8"
	contentTypeScript = "text/javascript; charset=utf-8"
	contentTypeStyle  = "text/css; charset=utf-8"
)

// pagePolicy is the Content-Security-Policy of the pages: their own style and scripts, and images as data URLs (logos, QR
// codes).
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

// pagePermissions is the Permissions-Policy of the pages: they use keys, and codes from text messages (WebOTP).
const pagePermissions = "publickey-credentials-get=(self), publickey-credentials-create=(self), otp-credentials=(self), camera=(), microphone=(), " +
	"geolocation=(), payment=(), usb=(), serial=(), hid=(), bluetooth=(), clipboard-read=(), display-capture=(), screen-wake-lock=()"

func setPageHeaders(h http.Header) {
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Permissions-Policy", pagePermissions)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Vary", "Accept-Encoding, Accept-Language, Cookie")
}

func (ps *pageServer) serveShell(x *exchange, page string) {
	ps.writePage(x, http.StatusOK, shellView{pageTexts: ps.siteTexts(x.request), brand: ps.siteBrand(x.request), Page: page, Scripts: true})
}

// decodeJSON adapts a function to the JSON requests of the pages' script. A form on another site cannot send JSON.
func decodeJSON[In any](ps *pageServer, serve func(*exchange, *In)) func(*exchange) {
	decoder := newDecoder(reflect.TypeFor[In]())
	return func(x *exchange) {
		in := new(In)
		if err := ps.readRequest(x, func(body []byte) error {
			if err := checkContentType(x.request.Header); err != nil {
				return err
			}
			return decoder.decode(body, in)
		}); err != nil {
			x.writeProblem(err)
			return
		}
		serve(x, in)
	}
}

// readRequest decodes the body of a request, after checking by Sec-Fetch-Site or Origin that one of the pages sent it, or an element
// on a page of a listed origin.
func (ps *pageServer) readRequest(x *exchange, decode func(body []byte) error) error {
	if err := ps.origins.Check(x.request); err != nil && x.elementOrigin == "" {
		return newDetailedError(codeForbidden, "The request comes from another origin.")
	}
	body, err := x.readBody()
	if err != nil {
		return err
	}
	return decode(body)
}

// findApp returns the app that the id of a challenge or verification belongs to, or nil. For a page of an origin that the app does
// not list there is none.
func (ps *pageServer) findApp(x *exchange) *app {
	id := x.request.PathValue("id")
	for _, a := range ps.server.apps {
		if (a.engine.OwnsChallenge(id) || a.engine.OwnsVerification(id)) && a.allowsElement(x.elementOrigin) {
			x.app = a
			return a
		}
	}
	return nil
}

// A part is the response that a page's script inserts into the page.
type part struct {
	HTML  string            `json:"html"`
	Lang  string            `json:"lang"`
	Dir   string            `json:"dir"`
	Title string            `json:"title"`
	Theme map[string]string `json:"theme,omitempty"` // CSS variables
	Final bool              `json:"final,omitempty"` // the challenge has ended
	Next  string            `json:"next,omitempty"`  // the URL to open at once
	State string            `json:"state,omitempty"` // of a verification; see verificationState

	// For the element on an app's own page; see pages_element.go.
	Bearer     string `json:"bearer,omitempty"`      // of the exchange of the ticket
	Status     string `json:"status,omitempty"`      // of the verification
	ReturnCode string `json:"return_code,omitempty"` // once it is approved
	Broken     string `json:"broken,omitempty"`      // the message about a request that failed
}

func (ps *pageServer) renderPart(name string, v *partView) (part, error) {
	var out bytes.Buffer
	v.Title = v.chooseTitle(name)
	err := ps.templates.ExecuteTemplate(&out, name, v)
	title := v.Title
	if v.Error != "" {
		title = v.text("title_error", "title", title)
	}
	p := part{HTML: out.String(), Lang: v.Lang, Dir: v.Dir(), Title: title, Theme: v.theme, Final: v.final, State: v.state}
	if v.Embedded {
		p.Bearer, p.Status, p.ReturnCode, p.Broken = v.bearer.Reveal(), string(v.status), v.returnCode.Reveal(), v.text("broken")
	}
	if v.forward {
		p.Next = string(v.Next)
	}
	if v.App != "" {
		p.Title = title + " · " + v.App
	}
	return p, err
}

// writePart responds with a part, compressed unless it has a number: the length of what is compressed reveals a few bits of it, much of two
// digits and nothing of the other secrets, which are long and random. Nothing in a part comes from the request, so nobody can find out
// more by repeating it.
func (ps *pageServer) writePart(x *exchange, status int, name string, v *partView) {
	p, err := ps.renderPart(name, v)
	if !v.Embedded && maps.Equal(p.Theme, ps.siteBrand(x.request).theme) {
		p.Theme = nil // the stylesheet of this host has it
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // the part is mostly HTML, and no browser takes the response for a page
	if err := errors.Join(err, encoder.Encode(p)); err != nil {
		x.writeProblem(fmt.Errorf("page %q: %w", name, err))
		return
	}
	content := body.Bytes()
	if v.Number == "" && acceptsCoding(x.request.Header, "gzip") {
		x.Header().Set("Content-Encoding", "gzip")
		content = compress(content)
	}
	x.writeBody(status, contentTypeJSON, content)
}

// A linkSet holds the ids of links that automated clients seem to have opened, so that each is reported once. It is bounded:
// when it is full, it is cleared.
type linkSet struct {
	mu  sync.Mutex
	ids map[string]bool
}

const maxSuspectedLinks = 4096

// add adds an id and reports whether it is new.
func (s *linkSet) add(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids[id] {
		return false
	}
	if len(s.ids) >= maxSuspectedLinks {
		clear(s.ids)
	}
	s.ids[id] = true
	return true
}
