package delivery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// An Opener returns the sender of one provider. The URL is the provider's configuration, which the Opener parses. It refuses
// unknown parameters and reports all problems at once. Its errors never contain the URL, or a part of it that may be a secret.
type Opener func(ctx context.Context, u *url.URL, env Environment) (watchword.Sender, error)

// An Environment holds what a program provides to the senders that it opens. The zero Environment is for production.
// Openers.Open sets the defaults of Logger, Now, Random and Report, so that an Opener can use them without a check for nil.
type Environment struct {
	Logger      *slog.Logger     // nil: nothing is logged
	Now         func() time.Time // nil: time.Now
	Random      io.Reader        // must be a cryptographic source; nil: crypto/rand
	Development bool             // allows the inbox, loopback addresses, and plain http to them
	Allowed     []netip.Prefix   // networks that providers may connect to although they are not public
	Proxy       *Proxy           // for connections to public addresses; nil: none
	Host        string           // host of the public URL, by which mail servers are greeted; empty: the machine's name
	UserAgent   string           // User-Agent of requests to providers; empty: watchword
	Channel     string           // channel that the sender is for; an Opener refuses a channel that it cannot serve. Empty: any

	// CallbackURL is the URL to which this sender's provider may send delivery reports: https, without a slash at the end. The
	// program serves the sender's Callbacks below it. Each sender has a CallbackURL of its own. Empty: no reports.
	CallbackURL string
	// Sender is the ID of this sender's Provider. It is a part of every report, so that messages that have moved to another sender, or
	// are moving, are not mistaken. Empty: reports are taken for those of the sender that has the message.
	Sender string
	// Report records a provider's delivery report, like Engine.RecordReport. Reports may be repeated and come in any order. For an
	// unknown message the sender gets no error, so that its answer does not reveal which messages exist.
	Report func(ctx context.Context, o watchword.Outgoing, d watchword.Delivery) error
}

// A Proxy is an HTTP proxy for outgoing connections. It cannot be printed.
type Proxy = outbound.Proxy

// ParseProxy parses the URL of a proxy, such as http://user:password@proxy.example:3128. The proxy must allow CONNECT to the addresses
// of providers: it gets addresses, which were checked, and no names. The error contains no part of the URL.
func ParseProxy(rawURL string) (*Proxy, error) { return outbound.ParseProxy(rawURL) }

// A MessageChecker is a sender that cannot send every message.
type MessageChecker interface {
	watchword.Sender
	// CheckMessage returns an error if the sender can never send this rendered message: a *watchword.Error of
	// ErrInvalidRequest that names the fields. It sends nothing.
	CheckMessage(m watchword.Message) error
}

// A Summarizer is a sender that describes its settings, for logs and for checks of the configuration.
type Summarizer interface {
	watchword.Sender
	// Settings returns one line about the connection: server, TLS, authentication. It contains no secret.
	Settings() string
}

// A Checker is a sender that can be tested without a message.
type Checker interface {
	watchword.Sender
	// Check connects to the provider as Send does, and signs in. It sends no message. Its errors are those of Send.
	Check(ctx context.Context) error
}

// A MailSender is a sender of mail.
type MailSender interface {
	watchword.Sender
	// MailDomain returns the domain of the address that its mail is from.
	MailDomain() string
}

// A Reporter is a sender whose provider sends delivery reports over HTTP.
type Reporter interface {
	watchword.Sender
	// Callbacks returns the handler of requests below Environment.CallbackURL. Its caller strips the path of that URL from the
	// path of each request. Nil: this sender gets no reports, because its configuration lacks something for them.
	Callbacks() http.Handler
}

// HTTPClient returns a client for a provider's requests: https only, public or allowed addresses only, no redirects,
// no proxy but the configured one, bounded time and body. Call it once for each provider and keep the client.
func (e Environment) HTTPClient() *http.Client { return e.policy().Client() }

// DialContext connects under the rules of HTTPClient. It is for protocols other than HTTP.
func (e Environment) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return e.policy().DialContext(ctx, network, address)
}

// CheckHost returns an error if HTTPClient and DialContext would not connect to the host of a URL. It checks localhost and
// IP addresses only; other host names are checked when they are dialled.
func (e Environment) CheckHost(host string) error {
	addresses := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	if host != "localhost" {
		ip, err := netip.ParseAddr(host)
		if err != nil {
			return nil
		}
		addresses = []netip.Addr{ip}
	}
	if slices.ContainsFunc(addresses, func(ip netip.Addr) bool { return e.policy().Check(ip) == nil }) {
		return nil
	}
	return errors.New("the URL's host is not a public address, and allowed_networks does not contain it")
}

// CheckResolved resolves the host of a URL and returns an error if HTTPClient and DialContext would connect to none of its
// addresses. It does not connect. A host that cannot be resolved is no error.
func (e Environment) CheckResolved(ctx context.Context, host string) error {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(addresses) == 0 {
		return nil
	}
	var refused error
	for _, ip := range addresses {
		if refused = e.policy().Check(ip.Unmap()); refused == nil {
			return nil
		}
	}
	return fmt.Errorf("the URL's host resolves to an address outside of allowed_networks: %w", refused)
}

// WithDefaults returns e with defaults for Logger, Now, Random and Report. Call it to use an Opener without Openers.Open.
func (e Environment) WithDefaults() Environment {
	if e.Logger == nil {
		e.Logger = slog.New(slog.DiscardHandler)
	}
	if e.Now == nil {
		e.Now = time.Now
	}
	if e.Random == nil {
		e.Random = rand.Reader
	}
	setDefault(&e.UserAgent, "watchword")
	e.Report = ignoreUnknown(e.Report)
	return e
}

// ignoreUnknown wraps a Report function so that unknown messages are no error. The result for nil does nothing.
func ignoreUnknown(next func(context.Context, watchword.Outgoing, watchword.Delivery) error) func(context.Context, watchword.Outgoing, watchword.Delivery) error {
	return func(ctx context.Context, o watchword.Outgoing, d watchword.Delivery) error {
		if next == nil {
			return nil
		}
		err := next(ctx, o, d)
		if errors.Is(err, watchword.ErrNotFound) || errors.Is(err, watchword.ErrUnknownChallenge) {
			return nil
		}
		return err
	}
}

func (e Environment) policy() outbound.Policy {
	return outbound.Policy{Development: e.Development, Allowed: e.Allowed, Proxy: e.Proxy}
}

// Openers maps URL schemes to the Openers of a program.
type Openers map[string]Opener

// Open returns the sender that a URL configures. Its errors contain no part of the URL but the scheme.
func (o Openers) Open(ctx context.Context, rawURL string, env Environment) (watchword.Sender, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, errors.New("delivery: a sender's URL cannot be parsed") // url.Error contains the URL, and so the password
	}
	open, known := o[u.Scheme]
	if !known {
		return nil, fmt.Errorf("delivery: no sender has the scheme %q; there are %s", u.Scheme, o.schemes())
	}
	sender, err := open(ctx, u, env.WithDefaults())
	if err = errors.Join(err, env.CheckHost(u.Hostname())); err != nil {
		return nil, fmt.Errorf("delivery: %s: %w", u.Scheme, err)
	}
	return sender, nil
}

func (o Openers) schemes() string { return strings.Join(slices.Sorted(maps.Keys(o)), ", ") }
