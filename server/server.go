package server

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
)

// A Server answers for its apps. It is an http.Handler, safe for concurrent use, and keeps nothing that another node
// would need.
type Server struct {
	apps        []*app
	keys        map[[sha256.Size]byte]credential
	clients     clients
	development bool
	limitDetail string
	kinds       map[string]kind
	mux         *http.ServeMux
	metrics     Metrics
	log         *slog.Logger
	clock       func() time.Time
	readiness   readiness
}

// app is one tenant.
type app struct {
	engine    *watchword.Engine
	signer    watchword.Signer
	publicURL string
	waiting   chan struct{} // holds one element for each caller who waits
	pages     appPages
}

// maxWaiting bounds how many callers of one app wait for a challenge (?wait) at the same time. Further ones are
// answered at once, so that one app cannot use up connections and store reads for the others.
const maxWaiting = 500

// New makes a Server, or reports everything that is missing or unsafe.
func New(cfg Config) (*Server, error) {
	cfg.setDefaults()
	problems := cfg.problems()
	s := &Server{keys: map[[sha256.Size]byte]credential{}, development: cfg.Development, limitDetail: cfg.LimitDetail, kinds: kinds(),
		mux: http.NewServeMux(), metrics: cfg.Metrics, log: cfg.Logger, clock: cfg.Clock}
	var err error
	if s.clients, err = newClients(cfg.TrustedProxies); err != nil {
		problems = append(problems, fmt.Errorf("TrustedProxies: %w", err))
	}
	for _, a := range cfg.Apps {
		s.add(a)
	}
	if len(problems) == 0 {
		problems = append(problems, s.checkKeySets(), s.routes(cfg.Mount))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("server: cannot start: %w", err)
	}
	return s, nil
}

func (s *Server) add(a App) {
	tenant := &app{engine: a.Engine, signer: a.Signer, publicURL: a.PublicURL, waiting: make(chan struct{}, maxWaiting), pages: a.Pages.prepare()}
	s.apps = append(s.apps, tenant)
	for _, k := range a.Keys {
		s.keys[k.SHA256] = newCredential(tenant, k.Scopes)
	}
}

// ServeHTTP is the door: everything comes in here, and no answer goes out but through its exchange.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, server: s, request: r, began: s.clock()}
	defer x.end()
	x.open()
	switch {
	case s.development && !loopbackHost(r.Host):
		x.fail(refuseFor(codeForbidden, "In development the server answers only requests whose Host is a loopback name."))
	case !clean(r.URL.EscapedPath()):
		x.fail(refuse(codeNotFound))
	default:
		s.mux.ServeHTTP(x, r)
	}
}

// clean reports whether an escaped path is one that the mux would not redirect: a caller of an API is told what is wrong
// instead.
func clean(p string) bool {
	return strings.HasPrefix(p, "/") && (path.Clean(p) == p || path.Clean(p)+"/" == p)
}

// ClientAddress is the address of whoever sent the request: the socket's or, behind trusted proxies, the right-most one
// in X-Forwarded-For that is no proxy. Invalid if there is none. It is for handlers that serve people; of an app's
// backend the API learns the person's address in client.ip.
func (s *Server) ClientAddress(r *http.Request) netip.Addr { return s.clients.address(r) }

// everywhere is the pattern of all paths that nothing else serves.
const everywhere = "/"

// routes fills the mux. A pattern that is there twice is an error of who mounts it.
func (s *Server) routes(mount map[string]http.Handler) error {
	operations := s.operations()
	document, err := describeAPI(operations, s.apps[0].publicURL)
	if err != nil {
		return fmt.Errorf("OpenAPI document: %w", err)
	}
	pages, err := newProblemPages()
	if err != nil {
		return fmt.Errorf("problem pages: %w", err)
	}
	methods := map[string][]string{}
	get := func(path string, serve func(*exchange)) {
		methods[path] = append(methods[path], http.MethodGet)
		s.mux.Handle("GET "+path, handler(serve))
	}
	for _, o := range operations {
		methods[o.path] = append(methods[o.path], o.method)
		s.mux.Handle(o.method+" "+o.path, handler(func(x *exchange) { x.operate(&o) }))
	}
	get(documentPath, func(x *exchange) { x.send(http.StatusOK, typeJSON, document) })
	get("/problems", pages.list)
	get("/problems/{code}", pages.one)
	hosted, err := s.newHosted()
	if err != nil {
		return err
	}
	if err := hosted.routes(methods); err != nil {
		return err
	}
	for path, allowed := range methods {
		if isPublic(path) {
			allowed = append(allowed, http.MethodOptions)
			s.mux.Handle("OPTIONS "+path, handler(answerPreflight))
		}
		s.mux.Handle(path, notAllowed(allowed))
	}
	s.mux.Handle(everywhere, handler(func(x *exchange) { x.fail(refuse(codeNotFound)) }))
	var problems []error
	for pattern, h := range mount {
		problems = append(problems, tryHandle(s.mux, pattern, h))
	}
	return errors.Join(problems...)
}

// handler serves an exchange: the mux passes on the ResponseWriter that it got from the door.
func handler(serve func(*exchange)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := w.(*exchange)
		x.request = r
		serve(x)
	})
}

// notAllowed answers for a path's other methods.
func notAllowed(methods []string) http.Handler {
	var allow []string
	for _, m := range methods {
		allow = append(allow, m)
		if m == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	return handler(func(x *exchange) {
		x.Header().Set("Allow", strings.Join(allow, ", "))
		x.fail(refuse(codeMethodNotAllowed))
	})
}

// tryHandle is mux.Handle with an error where that panics.
func tryHandle(mux *http.ServeMux, pattern string, h http.Handler) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("Mount: pattern %q: %v", pattern, reason)
		}
	}()
	mux.Handle(pattern, h)
	return nil
}
