package server

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
)

//go:embed problems.html
var problemsHTML string

//go:embed problems.css
var problemsCSS string

// problemPages are the pages at the type URLs of problems, and the page that lists them. They are static, rendered once, and
// load no other resources.
type problemPages struct {
	policy   string
	listPage []byte
	pages    map[string][]byte
}

func newProblemPages() (*problemPages, error) {
	t, err := template.New("problems").Parse(problemsHTML)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	render := func(title string, types []problemType) ([]byte, error) {
		var page bytes.Buffer
		err := t.Execute(&page, map[string]any{"Title": title, "Style": template.CSS(problemsCSS), "Types": types, "List": len(types) > 1})
		return page.Bytes(), err
	}
	style := sha256.Sum256([]byte(problemsCSS))
	p := &problemPages{pages: map[string][]byte{}, policy: "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-" +
		base64.StdEncoding.EncodeToString(style[:]) + "'"}
	for _, k := range listProblemTypes() {
		if p.pages[k.Code], err = render(k.Title, []problemType{k}); err != nil {
			return nil, fmt.Errorf("page %q: %w", k.Code, err)
		}
	}
	p.listPage, err = render("Problems", listProblemTypes())
	return p, err
}

func (p *problemPages) serveList(x *exchange) { p.writePage(x, p.listPage) }

func (p *problemPages) serveOne(x *exchange) {
	page, ok := p.pages[x.request.PathValue("code")]
	if !ok {
		x.server.serveNotFound(x)
		return
	}
	p.writePage(x, page)
}

func (p *problemPages) writePage(x *exchange, page []byte) {
	x.Header().Set("Content-Security-Policy", p.policy)
	x.writeBody(http.StatusOK, "text/html; charset=utf-8", page)
}
