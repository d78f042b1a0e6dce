package server

import (
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strings"
)

// Who opens a path that does not exist in a browser gets a page instead of the problem, which is for programs. The page is the same for
// every such path of a host: nothing of the request is in it but the language.

// notFoundPage is the name of the page and of its part.
const notFoundPage = "not_found"

// serveNotFound responds to a request for a path that does not exist.
func (s *Server) serveNotFound(x *exchange) {
	isRead := x.request.Method == http.MethodGet || x.request.Method == http.MethodHead
	switch {
	case !isRead, isAPIPath(x.request.URL.Path):
		x.writeProblem(newError(codeNotFound))
	case prefersHTML(x.request.Header):
		s.pages.writeNotFound(x)
	default:
		x.Header().Add("Vary", "Accept")
		x.writeProblem(newError(codeNotFound))
	}
}

// isAPIPath reports whether a path is one of those that only programs request, where every error is a problem.
func isAPIPath(p string) bool {
	p = path.Clean("/"+p) + "/"
	return strings.HasPrefix(p, "/v1/") || strings.HasPrefix(p, "/.well-known/")
}

// writeNotFound responds with the page of a path that does not exist, which leads to the app at the host of the request.
func (ps *pageServer) writeNotFound(x *exchange) {
	setPageHeaders(x.Header())
	x.Header().Add("Vary", "Accept")
	v := ps.newSiteView(x)
	v.Next = v.Home
	p, err := ps.renderPart(notFoundPage, v)
	if err != nil {
		x.writeProblem(fmt.Errorf("page %q: %w", notFoundPage, err))
		return
	}
	x.problemCode = codeNotFound
	ps.writePage(x, http.StatusNotFound, shellView{pageTexts: v.pageTexts, brand: v.brand, Page: notFoundPage, Title: p.Title,
		AssetPath: ps.assetPath(x.request), Body: template.HTML(p.HTML)})
}
