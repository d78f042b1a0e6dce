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

// problemPages are what stands at the type of a problem, and the list of them. They are made once: they are the same for
// everybody and load nothing.
type problemPages struct {
	policy string
	all    []byte
	byCode map[string][]byte
}

func newProblemPages() (*problemPages, error) {
	t, err := template.New("problems").Parse(problemsHTML)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	render := func(title string, shown []kind) ([]byte, error) {
		var page bytes.Buffer
		err := t.Execute(&page, map[string]any{"Title": title, "Style": template.CSS(problemsCSS), "Kinds": shown, "List": len(shown) > 1})
		return page.Bytes(), err
	}
	style := sha256.Sum256([]byte(problemsCSS))
	p := &problemPages{byCode: map[string][]byte{}, policy: "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-" +
		base64.StdEncoding.EncodeToString(style[:]) + "'"}
	for _, k := range catalogue() {
		if p.byCode[k.Code], err = render(k.Title, []kind{k}); err != nil {
			return nil, fmt.Errorf("page %q: %w", k.Code, err)
		}
	}
	p.all, err = render("Problems", catalogue())
	return p, err
}

func (p *problemPages) list(x *exchange) { p.show(x, p.all) }

func (p *problemPages) one(x *exchange) {
	page, ok := p.byCode[x.request.PathValue("code")]
	if !ok {
		x.fail(refuse(codeNotFound))
		return
	}
	p.show(x, page)
}

func (p *problemPages) show(x *exchange, page []byte) {
	x.Header().Set("Content-Security-Policy", p.policy)
	x.send(http.StatusOK, "text/html; charset=utf-8", page)
}
