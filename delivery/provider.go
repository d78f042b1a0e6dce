package delivery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
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

// An Opener makes a provider's Sender from its configuration, which is a URL that the provider parses itself. It
// refuses parameters that it does not know and reports everything that is wrong at once. Errors never hold the URL or
// a part of it that may be a secret.
type Opener func(ctx context.Context, u *url.URL, env Environment) (watchword.Sender, error)

// An Environment is what a program lends to the providers that it opens. The zero Environment is that of production;
// Providers.Open fills in what is missing, so that an Opener finds every field usable.
type Environment struct {
	Logger      *slog.Logger     // nil: nothing is logged
	Now         func() time.Time // nil: time.Now
	Random      io.Reader        // must be a cryptographic source; nil: crypto/rand
	Development bool             // allows what is never allowed in production: the inbox, loopback, plain http to it
	Allowed     []netip.Prefix   // networks that providers may connect to although they are not public
	Channel     string           // by which the provider is to send; an Opener refuses one that it cannot serve. Empty: any

	// CallbackURL is where this sender's provider may report what became of messages: an https URL without a slash at
	// its end, below which whoever mounts the sender's Callbacks serves. Each sender has its own. Empty: nobody does.
	CallbackURL string
	// Report takes what a provider reports, as Engine.Record does. Reports may come twice and in any order. An opened
	// provider gets no error for a message that nobody knows, so that whoever reports does not learn who is known.
	Report func(ctx context.Context, o watchword.Outgoing, d watchword.Delivery) error
}

// A MessageChecker is a Sender that does not take every message. CheckMessage says without sending why it will never take this one,
// rendered, as a *watchword.Error of ErrInvalidRequest that names the fields; nil if it may.
type MessageChecker interface {
	watchword.Sender
	CheckMessage(m watchword.Message) error
}

// A Reporter is a Sender whose provider reports what became of messages, later and over HTTP.
type Reporter interface {
	watchword.Sender
	// Callbacks serves what is below Environment.CallbackURL; the paths of its requests begin after that.
	Callbacks() http.Handler
}

// HTTPClient returns a client for a provider's requests: https only, public or allowed addresses only, no redirects,
// no proxy, bounded time and body. Call it once for each provider and keep the client.
func (e Environment) HTTPClient() *http.Client { return e.policy().Client() }

// DialContext connects under the same rules as HTTPClient, for protocols other than HTTP.
func (e Environment) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return e.policy().DialContext(ctx, network, address)
}

// CheckHost refuses the host of a URL if it is an address, or localhost, to which HTTPClient and DialContext would not
// connect. What a name resolves to is checked when it is dialled.
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
	return errors.New("the URL's host is not a public address, and not in a network that is allowed for senders")
}

// WithDefaults returns e with every field usable, for whoever opens something without Providers.
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
	e.Report = ignoreUnknown(e.Report)
	return e
}

// ignoreUnknown reports to next and keeps to itself that a message is unknown; nil reports to nobody.
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
	return outbound.Policy{Development: e.Development, Allowed: e.Allowed}
}

// Openers names the Openers that a program has, by the URL's scheme.
type Openers map[string]Opener

// Open makes the Sender that a URL asks for. Its errors name the scheme at most.
func (p Openers) Open(ctx context.Context, rawURL string, env Environment) (watchword.Sender, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, errors.New("delivery: a sender's URL cannot be parsed") // url.Error holds the URL, and so the password
	}
	open, known := p[u.Scheme]
	if !known {
		return nil, fmt.Errorf("delivery: no sender has the scheme %q; there are %s", u.Scheme, p.schemes())
	}
	sender, err := open(ctx, u, env.WithDefaults())
	if err = errors.Join(err, env.CheckHost(u.Hostname())); err != nil {
		return nil, fmt.Errorf("delivery: %s: %w", u.Scheme, err)
	}
	return sender, nil
}

func (p Openers) schemes() string {
	names := make([]string, 0, len(p))
	for name := range p {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
