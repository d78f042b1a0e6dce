package service

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/setting"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/receipt"
)

// A Service is an engine together with what works beside it: the worker that sends messages, the breaker against SMS pumping, and the
// publisher of events. It is safe for concurrent use.
type Service struct {
	Engine *watchword.Engine
	Signer *receipt.Signer // signs receipts for other services (Signer.Sign); nil without Keys.Signing

	stop  context.CancelFunc
	tasks sync.WaitGroup
	mu    sync.Mutex
	errs  []error // of tasks that have ended
}

// New returns a Service that runs, or an error with everything that is missing or unsafe in the configuration. The Service runs until
// it is closed. New makes no connection; Engine.Ping tests those of stores and senders.
func New(c Config) (*Service, error) {
	problems := c.findProblems()
	if c.App == "" || c.URL == "" || c.Keys.isZero() { // whatever else the engine found would follow from that
		return nil, fmt.Errorf("service: app %q cannot start: %w", c.App, errors.Join(problems...))
	}
	ownReturns := c.ReturnOrigins != nil
	c.setDefaults()
	parts, err := newParts(c)
	cfg := c.engineConfig(parts)
	if c.Adjust != nil {
		c.Adjust(&cfg)
	}
	s := &Service{}
	var errEngine, errSigner, errEvents, errWorker error
	s.Engine, errEngine = watchword.New(cfg)
	if len(c.Keys.Signing) > 0 {
		s.Signer, errSigner = receipt.NewSigner(receipt.SignerConfig{Keys: c.Keys.Signing})
	}
	if err := errors.Join(append(problems, err, engineProblems(errEngine, ownReturns), errSigner)...); err != nil {
		return nil, fmt.Errorf("service: app %q cannot start: %w", c.App, err)
	}
	if c.Events != nil {
		parts.events, errEvents = c.Events(s.Engine)
	}
	if parts.outbox != nil {
		parts.worker, errWorker = delivery.NewWorker(delivery.WorkerConfig{Engine: s.Engine, Outbox: parts.outbox, Sender: parts.sender, Logger: c.Logger.With("app", c.App)})
	}
	if err := errors.Join(errEvents, errWorker); err != nil {
		return nil, fmt.Errorf("service: app %q cannot start: %w", c.App, err)
	}
	s.start(parts)
	return s, nil
}

// engineProblems returns the problems of an engine without their introduction. The issuer is the field URL of a Config, and so are the
// return origins unless the Config has its own.
func engineProblems(err error, ownReturns bool) error {
	joined, ok := errors.Unwrap(err).(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var problems []error
	for _, p := range joined.Unwrap() {
		named, ok := p.(*setting.Error)
		switch {
		case ok && named.Field == "Issuer":
			p = setting.Errorf("URL", "%w", named.Err)
		case ok && !ownReturns && named.Field == "ReturnOrigins[0]":
			continue
		}
		problems = append(problems, p)
	}
	return errors.Join(problems...)
}

// engineTimeout is how long Close waits for what the engine does after its answers.
const engineTimeout = 3 * time.Second

// Close ends what works beside the engine. Messages that wait in this process are sent first, for ten seconds at most; the error says how
// many could not be. Those of an outbox that processes share are left to the others. Close first what calls the Engine, such as the HTTP
// server, and the stores afterwards. A second call does nothing.
func (s *Service) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), engineTimeout)
	defer cancel()
	_ = s.Engine.AwaitBackground(ctx) // what it leaves undone has no effect on answers
	s.stop()
	s.tasks.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	err := errors.Join(s.errs...)
	s.errs = nil
	return err
}

func (s *Service) start(p *parts) {
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	if p.worker != nil {
		s.run(ctx, p.worker.Run)
	}
	if p.breaker != nil {
		s.run(ctx, p.breaker.Run)
	}
	if p.events != nil {
		s.run(ctx, p.events.Run)
	}
}

func (s *Service) run(ctx context.Context, task func(context.Context) error) {
	s.tasks.Go(func() {
		if err := task(ctx); err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.errs = append(s.errs, err)
		}
	})
}

// parts are what an engine is made from, beside what the Config has. Those of messages are nil if no strategy sends any.
type parts struct {
	starts, reserved *ratelimit.Limiter
	checks           *ratelimit.Throttle
	addresses        watchword.AddressPolicy
	breaker          *delivery.PrefixBreaker
	router           *delivery.Router
	sender           *delivery.Renderer
	outbox           watchword.Outbox
	worker           *delivery.Worker
	events           EventPublisher // nil: nobody gets events. The engine sends none before it is set
}

func newParts(c Config) (p *parts, err error) {
	p = &parts{}
	var errStarts, errChecks error
	p.starts, errStarts = ratelimit.New(c.LimitStore, c.Limits, c.App)
	p.checks, errChecks = ratelimit.NewThrottle(ratelimit.DefaultCheckRules(), ratelimit.ThrottleConfig{})
	if !c.sends() {
		return p, errors.Join(errStarts, errChecks)
	}
	return p, errors.Join(errStarts, errChecks, p.addAddresses(c), p.addSending(c))
}

// addAddresses makes the address policy, with the prefix breaker before it.
func (p *parts) addAddresses(c Config) (err error) {
	if p.addresses, err = delivery.NewAddressPolicy(c.Addresses); err != nil {
		return fmt.Errorf("Addresses: %w", err)
	}
	p.breaker, err = delivery.NewPrefixBreaker(delivery.PrefixBreakerConfig{App: c.App, Counters: c.Counters, Logger: c.Logger})
	if err != nil {
		return err
	}
	p.addresses = p.breaker.WrapPolicy(p.addresses)
	rule := ratelimit.Rule{Name: delivery.LimitPrefixBreaker, Limit: 1, Window: p.breaker.ReservedInterval(), By: ratelimit.ByPrefix}
	p.reserved, err = ratelimit.New(c.LimitStore, []ratelimit.Rule{rule}, c.App)
	return err
}

// maxQueued is how many messages of a channel may wait or be sent in this process. A start beyond it is refused.
const maxQueued = 10_000

// addSending makes what renders and sends messages, and the outbox that they wait in.
func (p *parts) addSending(c Config) error {
	if outbox, shared := c.Store.(watchword.Outbox); shared {
		p.outbox = outbox
	} else {
		p.outbox = delivery.NewQueue(maxQueued, nil)
	}
	router, err := delivery.NewRouter(delivery.RouterConfig{Routes: c.Senders, Logger: c.Logger.With("app", c.App)})
	if err != nil {
		return err
	}
	templates, err := delivery.LoadTemplates(c.Templates)
	if err != nil {
		return fmt.Errorf("Templates: %w", err)
	}
	p.router = router
	p.sender, err = delivery.NewRenderer(delivery.RendererConfig{Next: router, Templates: templates, Mail: c.Mail, Logger: c.Logger.With("app", c.App)})
	return err
}

func (c *Config) engineConfig(p *parts) watchword.Config {
	cfg := watchword.Config{App: c.App, Name: c.Name, Issuer: c.URL, Keys: c.Keys.Ring, Identity: c.Keys.Identity,
		Store: c.Store, Factors: c.Factors, Strategies: c.Strategies, Purposes: c.Purposes, ReturnOrigins: c.ReturnOrigins,
		Addresses: p.addresses, Channels: slices.Sorted(maps.Keys(c.Senders)), Logger: c.Logger, Dependencies: map[string]watchword.Pinger{}}
	if p.starts != nil { // a nil pointer in an interface is not a nil interface
		cfg.Starts = p.starts
	}
	if p.checks != nil {
		cfg.Checks = p.checks
	}
	if p.reserved != nil {
		cfg.Reserved = p.reserved
		cfg.Dependencies["counters"] = p.breaker
	}
	if _, shared := c.Store.(watchword.Outbox); !shared {
		cfg.Outbox = p.outbox
	}
	if p.sender != nil {
		cfg.CheckMessage, cfg.ProviderName, cfg.Reports = p.sender.CheckMessage, p.router.PrimaryProvider, p.router.Reports
		cfg.Dependencies["sending"] = delivery.NewReadiness(c.Senders)
	}
	cfg.Events, cfg.Subscribed = c.eventHandler(p)
	return cfg
}

// eventHandler passes events to the prefix breaker and to the publisher.
func (c *Config) eventHandler(p *parts) (handle func(context.Context, watchword.Event), subscribed func(string) bool) {
	handle = func(ctx context.Context, e watchword.Event) {
		if p.breaker != nil {
			p.breaker.HandleEvent(ctx, e)
		}
		if p.events != nil {
			p.events.HandleEvent(ctx, e)
		}
	}
	if c.Events == nil {
		return handle, nil
	}
	return handle, func(eventType string) bool { return p.events.Subscribes(eventType) }
}
