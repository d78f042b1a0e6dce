package service

import (
	"context"
	"io/fs"
	"log/slog"
	"maps"
	"slices"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/setting"
	"github.com/watchword-auth/watchword/ratelimit"
)

// A Config configures a Service. App, URL, Keys, Store and Strategies are required, Senders and Factors if a strategy needs them.
// The zero value of each other field selects its default. What is opened here stays the caller's: close it after the Service.
type Config struct {
	App  string // id of the app: the audience of receipts, and part of every key's derivation. It never changes
	Name string // of the app, as messages and pages show it; empty: App
	URL  string // public URL of the app, such as https://app.example.com: issuer of receipts, and base of links
	Keys Keys   // see LoadKeys

	Store      watchword.Store      // of challenges: store/memory for one process, an Outbox of store/redis for several
	Factors    watchword.Factors    // of what people enrol: store/sql, store/memory or the app's own tables; required by strategies that enrol
	Strategies []watchword.Strategy // how people are verified

	// Senders are the providers of each channel (email, sms, voice, ...), in the order in which they are tried. Required by
	// strategies that send messages.
	Senders map[string][]delivery.Provider

	Limits     []ratelimit.Rule   // of starts and resends; nil: ratelimit.DefaultRules
	LimitStore ratelimit.Store    // counts them; nil: in the memory of this process. Required with a Store that processes share
	Counters   delivery.Counters  // of messages by prefix of a phone number; nil: in the memory of this process. Required like LimitStore, for phone channels
	Addresses  delivery.Addresses // addresses that may get messages; the zero value: mailboxes, and numbers of US and CA

	Templates fs.FS               // the app's own templates of messages, over the built-in ones (delivery.LoadTemplates); nil: none
	Mail      delivery.MailConfig // appearance of mails

	Purposes      []string // the only purposes allowed; empty: every well-formed one
	ReturnOrigins []string // origins to which hosted pages may lead back; empty: that of URL

	// Events makes what sends events, such as a webhook.Dispatcher, for the engine. Nil: nobody gets events.
	Events func(*watchword.Engine) (EventPublisher, error)
	Logger *slog.Logger // nil: nothing is logged

	// Adjust changes settings of the engine that Config has not, such as TrustedDevices or Lifetimes, after all others were set. It
	// may be nil.
	Adjust func(*watchword.Config)
}

// An EventPublisher sends events to whoever subscribed to them. It is safe for concurrent use.
type EventPublisher interface {
	// HandleEvent accepts an event. It does not wait for its delivery.
	HandleEvent(ctx context.Context, e watchword.Event)
	// Subscribes reports whether somebody gets the events of a type.
	Subscribes(eventType string) bool
	// Run sends what was accepted until ctx ends, and then finishes what it has begun.
	Run(ctx context.Context) error
}

func (c *Config) setDefaults() {
	if c.Name == "" {
		c.Name = c.App
	}
	if c.Limits == nil {
		c.Limits = ratelimit.DefaultRules()
	}
	if c.LimitStore == nil {
		c.LimitStore = ratelimit.NewMemory(ratelimit.MemoryConfig{})
	}
	if c.Counters == nil {
		c.Counters = delivery.NewMemoryCounters(nil)
	}
	if c.ReturnOrigins == nil {
		c.ReturnOrigins = []string{c.URL}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// findProblems returns what would make the service work in part only. It is called before the defaults are set. The engine finds
// the rest.
func (c *Config) findProblems() (out []error) {
	refuse := func(bad bool, field, format string, args ...any) {
		if bad {
			out = append(out, setting.Errorf(field, format, args...))
		}
	}
	_, shared := c.Store.(watchword.Outbox)
	channels := slices.Sorted(maps.Keys(c.Senders))
	phones := slices.DeleteFunc(slices.Clone(channels), func(channel string) bool { return channel == "email" })
	refuse(shared && c.LimitStore == nil, "LimitStore", "missing: processes that share the Store must share limits too (ratelimit/redis), or each allows as much as all may")
	refuse(shared && len(phones) > 0 && c.Counters == nil, "Counters", "missing: processes that share the Store must share the counts of messages too (delivery/redis)")
	refuse(c.sends() && len(channels) == 0, "Senders", "missing: strategy %q sends messages", c.sendingStrategy())
	refuse(!c.sends() && len(channels) > 0, "Senders", "no strategy sends messages")
	for _, channel := range channels {
		refuse(len(c.Senders[channel]) == 0, "Senders", "channel %q has none", channel)
	}
	refuse(c.App == "", "App", "missing: the id of the app, such as shop")
	refuse(c.URL == "", "URL", "missing: the public URL of the app, such as https://app.example.com")
	refuse(c.Keys.isZero(), "Keys", "missing: LoadKeys reads those that `watchword keys new --dir` wrote")
	return out
}

func (c *Config) sends() bool { return c.sendingStrategy() != "" }

// sendingStrategy returns the name of the first strategy that sends messages; empty: none does.
func (c *Config) sendingStrategy() string {
	for _, s := range c.Strategies {
		if s != nil && s.Properties().SendsMessages {
			return s.Name()
		}
	}
	return ""
}
