package server

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/hosts"
)

// The element <watchword-verification> shows the parts of a verification's page inside a page of the app. It sends the requests of
// the hosted page, with three differences:
//
//   - It exchanges the ticket for a bearer instead of a cookie, because browsers do not keep cookies of other sites. The bearer is
//     the same secret, bound as the cookie is: one browser gets it, and that browser alone gets the return code. The element keeps
//     it in memory and sends it as Authorization.
//   - Its requests come from another origin. The server accepts those of the origins that the app lists and lets pages of these
//     origins read the responses (Fetch standard, CORS), without cookies. A request from a listed origin is never authenticated by a
//     cookie, so such a page can do nothing on a hosted page that is open in the same browser.
//   - Its parts name the state of the verification, and the return code.

const elementPath = "/element.js"

// addElementRoutes adds the element's script.
func (ps *pageServer) addElementRoutes(add func(method, path string, serve func(*exchange))) {
	add(http.MethodGet, elementPath, func(x *exchange) {
		x.Header().Set("Cache-Control", "no-cache")
		x.Header().Set("ETag", ps.assets.element.etag())
		if x.request.Header.Get("If-None-Match") == ps.assets.element.etag() {
			x.WriteHeader(http.StatusNotModified)
			return
		}
		x.writeAsset(ps.assets.element)
	})
}

// indexElementOrigins records the origins of the apps' own pages by the host of the public URL, so that a response reveals no more
// about the app of an id than the hosted pages do. Origins of public URLs are not among them: their pages are the hosted ones.
func (ps *pageServer) indexElementOrigins() {
	public := map[string]bool{}
	for _, a := range ps.server.apps {
		public[a.publicOrigin()] = true
	}
	ps.elementOrigins = map[string]map[string]bool{"": {}}
	for _, a := range ps.server.apps {
		_, host, _ := strings.Cut(strings.ToLower(a.publicOrigin()), "://")
		if ps.elementOrigins[host] == nil {
			ps.elementOrigins[host] = map[string]bool{}
		}
		for _, origin := range a.origins {
			if !public[origin] {
				ps.elementOrigins[host][origin], ps.elementOrigins[""][origin] = true, true
			}
		}
	}
}

// publicOrigin returns the origin of the public URL. New has checked that there is one.
func (a *app) publicOrigin() string {
	origin, _ := hosts.OriginOf(a.publicURL)
	return origin
}

// findElementOrigin returns the origin of a request if it is that of an app's page, else an empty text. At a host that no app has,
// because a proxy has replaced it, it is that of any app.
func (ps *pageServer) findElementOrigin(r *http.Request) string {
	origin := r.Header.Get("Origin")
	listed, ok := ps.elementOrigins[strings.ToLower(r.Host)]
	if !ok || len(ps.server.apps) == 1 {
		listed = ps.elementOrigins[""]
	}
	if !listed[origin] {
		return ""
	}
	return origin
}

// allowsElement reports whether the app lists the origin of a page. The empty origin is that of the hosted pages.
func (a *app) allowsElement(origin string) bool {
	return origin == "" || slices.Contains(a.origins, origin)
}

// allowElement adapts a function to requests of the element. Responses to other origins have no CORS header.
func (ps *pageServer) allowElement(serve func(*exchange)) func(*exchange) {
	return func(x *exchange) {
		x.Header().Add("Vary", "Origin")
		x.elementOrigin = ps.findElementOrigin(x.request)
		x.embedded = x.elementOrigin != "" || x.request.Header.Get("Authorization") != ""
		if x.elementOrigin != "" {
			x.Header().Set("Access-Control-Allow-Origin", x.elementOrigin)
		}
		serve(x)
	}
}

// serveElementPreflight responds to the preflight request (OPTIONS) for a path of the element with one method. Other origins get
// the response of a method that is not allowed.
func (ps *pageServer) serveElementPreflight(method string) func(*exchange) {
	refuse := methodNotAllowed([]string{method})
	return func(x *exchange) {
		if x.elementOrigin == "" {
			refuse.ServeHTTP(x, x.request)
			return
		}
		h := x.Header()
		h.Set("Access-Control-Allow-Methods", method)
		h.Set("Access-Control-Allow-Headers", "authorization, content-type")
		h.Set("Access-Control-Max-Age", preflightMaxAge)
		x.WriteHeader(http.StatusNoContent)
	}
}

// findPageSecret returns the secret by which a request is bound to a verification: the bearer of an element or, on the hosted page,
// the cookie with the given name. It returns an empty text if there is none.
func (x *exchange) findPageSecret(cookie string) string {
	if bearer, ok := strings.CutPrefix(x.request.Header.Get("Authorization"), "Bearer "); ok {
		return bearer
	}
	c, err := x.request.Cookie(cookie)
	if err != nil || x.embedded {
		return ""
	}
	return c.Value
}

// embed adds what the element gets of a verification beside the part.
func (v *partView) embed(session *verificationSession) {
	v.status, v.returnCode, v.bearer = session.page.Status, session.page.ReturnCode, session.bearer
}

type renewRequest struct {
	Method string `json:"method"`
}

// A renewedKey is the response to a request for a new challenge of a key: the options, and in how many seconds to renew them again.
type renewedKey struct {
	Options string `json:"options"`
	Renew   int    `json:"renew"`
}

// renewKey replaces the challenge of a key before it expires, while the page stays open. The response has the new options alone, so
// that the page changes nothing that the person sees. If another method is open by now, or none, it is the part.
func (ps *pageServer) renewKey(x *exchange, in *renewRequest) {
	ps.withVerification(x, func(ctx context.Context, session *verificationSession) {
		_, err := session.engine.RenewMethod(ctx, session.id, in.Method)
		switch {
		case errors.Is(err, watchword.ErrTooManyGuesses), errors.Is(err, watchword.ErrRateLimited): // the page tries again
			x.writeProblem(err)
			return
		case err != nil:
			ps.writeVerificationOutcome(ctx, x, session, err)
			return
		}
		if session.page, err = session.engine.ViewVerificationPage(ctx, session.id, session.cookie); err != nil {
			ps.writeLoadError(x, err, "unknown")
			return
		}
		name, v := ps.chooseVerificationPart(x, session)
		options, err := v.Options()
		if name != "ask_key" || err != nil {
			ps.writePart(x, http.StatusOK, name, v)
			return
		}
		body, err := json.Marshal(renewedKey{options, v.RenewIn})
		if err != nil {
			x.writeProblem(err)
			return
		}
		x.writeBody(http.StatusOK, contentTypeJSON, body)
	})
}

// renewIn returns the seconds until the challenge of a key is to be renewed, so that a person who begins then has a fifth of its life
// left: 0 if it lives as long as the verification, or is no key's.
func (ps *pageServer) renewIn(p *watchword.VerificationPage) int {
	c := p.Challenge.View
	if c.Ask != watchword.AskKey || !c.ExpiresAt.Before(p.ExpiresAt) {
		return 0
	}
	life := c.ExpiresAt.Sub(c.CreatedAt)
	return max(int(math.Ceil(c.CreatedAt.Add(life*4/5).Sub(ps.server.clock()).Seconds())), 1)
}
