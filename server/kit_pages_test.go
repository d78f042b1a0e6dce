package server_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/magiclink"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/store/memory"
)

// A site is a listening server with hosted pages, and the app that starts challenges and that pages return to.
type site struct {
	t       testing.TB
	web     *httptest.Server
	server  *server.Server
	public  string
	engine  *watchword.Engine
	outbox  *outbox
	clock   *clock
	log     *syncBuffer
	traffic *trafficLog
	app     *appBackend
	opened  map[string]*pageClient // the browsers that opened pages, by challenge
	streams atomic.Int64           // open streams of events
	locale  string                 // of what is started without another one
	gate    *gate

	sent map[string]watchword.Message // the messages of startLink, which are composed once, by challenge
}

// siteOptions are the settings of a site.
type siteOptions struct {
	links  magiclink.Config
	pages  server.Pages
	public string // the public URL; empty: the server's address
	tls    bool
	engine func(*watchword.Config)

	origins []string // of the app's own pages
}

func newSite(t testing.TB, o siteOptions) *site {
	t.Helper()
	s := &site{t: t, outbox: &outbox{}, log: &syncBuffer{}, traffic: &trafficLog{}, opened: map[string]*pageClient{}, sent: map[string]watchword.Message{}, locale: "en", gate: &gate{}, clock: &clock{now: time.Now().UTC()}}
	var h http.Handler
	s.web = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.traffic.addRequest(r)
		if strings.HasSuffix(r.URL.Path, "/events") {
			s.streams.Add(1)
			defer s.streams.Add(-1)
		}
		s.gate.wait(r)
		h.ServeHTTP(w, r)
	}))
	if o.tls {
		s.web.StartTLS()
	} else {
		s.web.Start()
	}
	t.Cleanup(s.web.Close)
	s.app = newAppBackend(t)
	public := o.public
	if public == "" {
		public = strings.Replace(s.web.URL, "127.0.0.1", "localhost", 1)
	}
	s.public = public
	h = s.newServer(o, public)
	return s
}

func (s *site) newServer(o siteOptions, public string) http.Handler {
	links, err := magiclink.New(o.links)
	must(s.t, err)
	digits, err := otp.New(otp.Config{Clock: s.clock.Now})
	must(s.t, err)
	ring, err := watchword.NewKey("2026", bytes.Repeat([]byte{1}, 32))
	must(s.t, err)
	identity, err := watchword.NewKey("identity", bytes.Repeat([]byte{2}, 32))
	must(s.t, err)
	cfg := watchword.Config{App: "shop", Name: "Example Shop", Issuer: public, Keys: []watchword.Key{ring}, Identity: identity,
		Store: memory.New(memory.Config{Clock: s.clock.Now}), Outbox: s.outbox, Strategies: []watchword.Strategy{links, digits},
		Addresses: acceptAnyAddress, Channels: []string{"sms", "email"}, Clock: s.clock.Now, ReturnOrigins: []string{s.app.web.URL},
		Events: func(_ context.Context, e watchword.Event) { s.traffic.addEvent(e) },
		Logger: slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if o.engine != nil {
		o.engine(&cfg)
	}
	s.engine, err = watchword.New(cfg)
	must(s.t, err)
	s.app.engine = s.engine
	s.server, err = server.New(server.Config{Apps: []server.App{{Engine: s.engine, Signer: newSigner(s.t, "k"), PublicURL: public, Pages: o.pages, Origins: o.origins,
		Keys: []server.APIKey{newAPIKey(shopKey, server.ScopeChallenges)}}}, Clock: s.clock.Now,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Logger:         slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	must(s.t, err)
	return s.server
}

// A trafficLog records requests and events.
type trafficLog struct {
	mu     sync.Mutex
	lines  []string
	events []string
}

func (l *trafficLog) addRequest(r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, r.Method+" "+r.RequestURI+" referer="+r.Referer())
}

func (l *trafficLog) addEvent(e watchword.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e.Type)
}

// count returns the number of requests so far, for since.
func (l *trafficLog) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lines)
}

func (l *trafficLog) requests() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

func (l *trafficLog) eventCount(event string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e == event {
			n++
		}
	}
	return n
}

// An appBackend is the web server of an app. It redeems the last started challenge when a browser opens return_url, with the
// return code in the query. Its session is that of the starter, whatever browser comes.
type appBackend struct {
	web     *httptest.Server
	engine  *watchword.Engine
	mu      sync.Mutex
	started *watchword.Started

	verification *watchword.StartedVerification // started last; nil: redeem the challenge

	redeemed []error
	visits   []string
}

func newAppBackend(t testing.TB) *appBackend {
	b := &appBackend{}
	b.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/done" {
			http.NotFound(w, r)
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.visits = append(b.visits, r.RequestURI+" referer="+r.Referer())
		b.redeemed = append(b.redeemed, b.redeem(r.Context(), r.URL.Query().Get("return_code")))
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>App</title><h1 id=welcome>Signed in</h1>")
	}))
	t.Cleanup(b.web.Close)
	return b
}

// redeemAt redeems as for a browser that a page sent to the given URL.
func (b *appBackend) redeemAt(ctx context.Context, next string) error {
	u, err := url.Parse(next)
	if err != nil {
		return err
	}
	return b.redeem(ctx, u.Query().Get("return_code"))
}

func (b *appBackend) redeem(ctx context.Context, returnCode string) error {
	if v := b.verification; v != nil {
		_, err := b.engine.RedeemVerification(ctx, v.ID, watchword.RedeemRequest{Handle: v.Handle.Reveal(), Purpose: v.Purpose, Subject: v.Subject, ReturnCode: returnCode})
		return err
	}
	who := watchword.RedeemRequest{Handle: b.started.Handle.Reveal(), Purpose: b.started.Purpose, Subject: b.started.Subject, ReturnCode: returnCode}
	if who.Subject == "" {
		who.To = "ada@example.com"
	}
	_, err := b.engine.Redeem(ctx, b.started.ID, who)
	return err
}

func (b *appBackend) redeemErrors() []error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.redeemed)
}

// visited returns the addresses at which browsers came back, with their Referer.
func (b *appBackend) visited() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.visits, "\n")
}

// A startedChallenge is a challenge with the values of its message and its page.
type startedChallenge struct {
	*watchword.Started
	page, link, token, code, number string
}

const firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"

// startLink starts a magic link and advances the clock by 10 s, because links that are opened at once look automated.
func (s *site) startLink(change ...func(*watchword.StartRequest)) startedChallenge {
	s.t.Helper()
	req := watchword.StartRequest{Strategy: "magiclink", Purpose: "sign_in", To: "ada@example.com", ReturnURL: s.app.web.URL + "/done", Locale: s.locale,
		Client: watchword.Client{IP: "203.0.113.7", UserAgent: firefox}}
	for _, c := range change {
		c(&req)
	}
	started, err := s.engine.Start(s.t.Context(), req)
	must(s.t, err)
	s.app.mu.Lock()
	s.app.started = started
	s.app.mu.Unlock()
	s.clock.advance(10 * time.Second)
	out := startedChallenge{Started: started, page: "/c/" + started.ID}
	out.number, _ = started.Public["number"].(string)
	sent, ok := s.outbox.last(started.ID)
	if !ok {
		s.t.Fatal("no message was sent")
	}
	m, err := s.engine.ComposeMessage(s.t.Context(), sent)
	must(s.t, err)
	must(s.t, s.engine.RecordDelivery(s.t.Context(), sent, watchword.Delivery{Status: watchword.DeliverySent, Provider: "test", Channel: m.Channel}))
	s.sent[started.ID] = m
	out.link, out.code = m.Link.Reveal(), m.Code.Reveal()
	_, out.token, _ = strings.Cut(out.link, "#")
	return out
}

func (s *site) status(id string) watchword.View {
	s.t.Helper()
	v, err := s.engine.Status(s.t.Context(), id)
	must(s.t, err)
	return v
}
