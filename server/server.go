package server

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
)

// A Server serves the API and the hosted pages of its apps. It is an http.Handler, is safe for concurrent use, and holds no
// state that another process would need.
type Server struct {
	apps         []*app
	keys         map[[sha256.Size]byte]authorizedKey
	addresses    addressResolver
	development  bool
	limitDetail  string
	problemTypes map[string]problemType
	mux          *http.ServeMux
	pages        *pageServer
	metrics      Metrics
	log          *slog.Logger
	clock        func() time.Time
	readiness    readiness
}

// app is one tenant.
type app struct {
	engine    *watchword.Engine
	signer    watchword.Signer
	publicURL string
	origins   []string      // of its own pages
	waiters   chan struct{} // holds one element for each caller that waits for a challenge
	pages     appPages
}

// maxWaiters bounds how many callers of one app wait for a challenge (?wait) at the same time. The server responds
// to further callers at once, so that one app cannot exhaust the connections and store reads of the others.
const maxWaiters = 500

// New returns a Server. Its error lists all settings that are missing or unsafe.
func New(cfg Config) (*Server, error) {
	return newServer(cfg, true, func(s *Server) error { return errors.Join(s.checkKeySets(), s.registerRoutes(cfg.Mount)) })
}

// newServer returns a Server whose routes a function registers. Without the API, apps need no keys and no signer.
func newServer(cfg Config, hasAPI bool, register func(*Server) error) (*Server, error) {
	cfg.setDefaults()
	errs := cfg.findErrors(hasAPI)
	s := &Server{keys: map[[sha256.Size]byte]authorizedKey{}, development: cfg.Development, limitDetail: cfg.LimitDetail, problemTypes: indexProblemTypes(),
		mux: http.NewServeMux(), metrics: cfg.Metrics, log: cfg.Logger, clock: cfg.Clock}
	var err error
	if s.addresses, err = newAddressResolver(cfg.TrustedProxies); err != nil {
		errs = append(errs, fmt.Errorf("TrustedProxies: %w", err))
	}
	if len(errs) == 0 {
		for _, a := range cfg.Apps {
			s.addApp(a)
		}
		errs = append(errs, register(s))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("server: cannot start: %w", err)
	}
	return s, nil
}

func (s *Server) addApp(a App) {
	tenant := &app{engine: a.Engine, signer: a.Signer, publicURL: a.PublicURL, origins: a.Origins, waiters: make(chan struct{}, maxWaiters), pages: a.Pages.prepare(a.Engine.Name())}
	s.apps = append(s.apps, tenant)
	for _, k := range a.Keys {
		s.keys[k.SHA256] = newAuthorizedKey(tenant, k.Scopes)
	}
}

// listStrategies returns the names of the strategies of all apps, sorted.
func (s *Server) listStrategies() (names []string) {
	for _, a := range s.apps {
		names = append(names, a.engine.Strategies()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ServeHTTP handles a request: it sets the common headers, calls the handler, and logs and counts the response.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, server: s, request: r, startedAt: s.clock()}
	defer x.finish()
	x.setHeaders()
	if s.addresses.comesThroughProxy(r) {
		connectionOf(r).join(proxyGroup)
	}
	switch {
	case s.development && !isLoopbackHost(r.Host):
		x.writeProblem(newDetailedError(codeForbidden, "In development the server accepts only requests whose Host is a loopback name."))
	case !isCleanPath(r.URL.EscapedPath()):
		s.serveNotFound(x)
	default:
		s.mux.ServeHTTP(x, r)
	}
}

// isCleanPath reports whether the mux serves an escaped path without a redirect. Other paths do not exist, because clients of
// an API do not expect redirects.
func isCleanPath(p string) bool {
	return strings.HasPrefix(p, "/") && (path.Clean(p) == p || path.Clean(p)+"/" == p)
}

// ClientAddress returns the address of the request's client: the peer of the connection or, behind trusted proxies, the
// right-most address in X-Forwarded-For that is not a trusted proxy. It returns the zero Addr if there is none. Use it in
// handlers that serve people directly; an app's backend sends the person's address in client.ip.
func (s *Server) ClientAddress(r *http.Request) netip.Addr { return s.addresses.resolve(r) }

// catchAllPattern matches all paths that no other pattern matches.
const catchAllPattern = "/"

// registerRoutes adds all handlers to the mux. It returns an error for patterns of mount that are invalid or taken.
func (s *Server) registerRoutes(mount map[string]http.Handler) error {
	methods := map[string][]string{}
	if err := errors.Join(s.registerAPI(methods), s.registerPages(methods)); err != nil {
		return err
	}
	return s.completeRoutes(methods, mount)
}

// registerAPI adds the operations and documents of the API to the mux, and their methods to the methods of each path.
func (s *Server) registerAPI(methods map[string][]string) error {
	operations := s.operations()
	document, err := describeAPI(operations, s.listStrategies(), s.apps[0].publicURL)
	if err != nil {
		return fmt.Errorf("OpenAPI document: %w", err)
	}
	problemPages, err := newProblemPages()
	if err != nil {
		return fmt.Errorf("problem pages: %w", err)
	}
	get := func(path string, serve func(*exchange)) {
		methods[path] = append(methods[path], http.MethodGet)
		s.mux.Handle("GET "+path, exchangeHandler(serve))
	}
	for _, o := range operations {
		methods[o.path] = append(methods[o.path], o.method)
		s.mux.Handle(o.method+" "+o.path, exchangeHandler(func(x *exchange) { x.serveOperation(&o) }))
	}
	get(documentPath, func(x *exchange) { x.writeBody(http.StatusOK, contentTypeJSON, document) })
	get("/problems", problemPages.serveList)
	get("/problems/{code}", problemPages.serveOne)
	return nil
}

// registerPages adds the hosted pages to the mux, and their methods to the methods of each path.
func (s *Server) registerPages(methods map[string][]string) error {
	var err error
	if s.pages, err = s.newPageServer(); err != nil {
		return err
	}
	s.pages.registerRoutes(methods)
	return nil
}

// completeRoutes adds the handlers of each path's other methods, of all other paths, and those of mount.
func (s *Server) completeRoutes(methods map[string][]string, mount map[string]http.Handler) error {
	for path, allowed := range methods {
		s.addRoute(path)
		if isPublicDocument(path) {
			allowed = append(allowed, http.MethodOptions)
			s.mux.Handle("OPTIONS "+path, exchangeHandler(servePreflight))
		}
		s.mux.Handle(path, methodNotAllowed(allowed))
	}
	s.mux.Handle(catchAllPattern, exchangeHandler(s.serveNotFound))
	var errs []error
	for pattern, h := range mount {
		errs = append(errs, registerHandler(s.mux, pattern, h))
		s.addRoute(routeOf(pattern))
	}
	return errors.Join(errs...)
}

// addRoute announces a route to the metrics, if there are any.
func (s *Server) addRoute(route string) {
	if s.metrics != nil {
		s.metrics.AddRoute(route)
	}
}

// routeOf returns a mux pattern without its method.
func routeOf(pattern string) string {
	if _, path, hasMethod := strings.Cut(pattern, " "); hasMethod {
		return path
	}
	return pattern
}

// exchangeHandler adapts a function to the mux, which passes on the exchange that ServeHTTP gave it as ResponseWriter.
func exchangeHandler(serve func(*exchange)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := w.(*exchange)
		x.request = r
		serve(x)
	})
}

// methodNotAllowed returns the handler of a path's other methods.
func methodNotAllowed(methods []string) http.Handler {
	var allow []string
	for _, m := range methods {
		allow = append(allow, m)
		if m == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	return exchangeHandler(func(x *exchange) {
		x.Header().Set("Allow", strings.Join(allow, ", "))
		x.writeProblem(newError(codeMethodNotAllowed))
	})
}

// registerHandler calls mux.Handle and returns its panic as an error.
func registerHandler(mux *http.ServeMux, pattern string, h http.Handler) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("Mount: pattern %q: %v", pattern, reason)
		}
	}()
	mux.Handle(pattern, h)
	return nil
}
