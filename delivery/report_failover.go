package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/setting"
)

// A ReportFailoverConfig configures a ReportFailover. App, Router and NoReportAfter are required.
type ReportFailoverConfig struct {
	App           string                   // id of the app
	Router        *Router                  // whose senders are asked
	NoReportAfter map[string]time.Duration // by channel: how long a delivery report is awaited; 5 seconds to 10 minutes
	Counters      Counters                 // shared by all processes; nil: counters in the memory of this process

	Logger *slog.Logger
	Now    func() time.Time // the engine's clock; nil: time.Now
}

// Bounds of ReportFailoverConfig.NoReportAfter.
const (
	minNoReport = 5 * time.Second
	maxNoReport = 10 * time.Minute
)

// When reports of a prefix come too rarely for silence to mean anything.
const (
	ratedMessages = 10 // of a prefix before it is evaluated
	ratedPercent  = 50 // least share of messages that must have had a report
)

// A ReportFailover is the watchword.FailoverPolicy of an app: messages of the listed channels move to the next sender after a negative
// delivery report, or after none. For each channel and prefix it counts, over an hour, the messages that were sent and those that
// had a report. If fewer than half of at least ten had one, silence means nothing there for an hour. All processes count in the same
// Counters. Run exchanges the counts in the background.
type ReportFailover struct {
	routes atomic.Pointer[reportedRoutes]
	rates  *PrefixBreaker
}

// reportedRoutes are senders, and how long a report of each channel is awaited.
type reportedRoutes struct {
	router  *Router
	timeout map[string]time.Duration
}

// NewReportFailover returns a ReportFailover, or an error that lists every problem.
func NewReportFailover(cfg ReportFailoverConfig) (*ReportFailover, error) {
	var problems []error
	for _, channel := range slices.Sorted(maps.Keys(cfg.NoReportAfter)) {
		if err := cfg.check(channel); err != nil {
			problems = append(problems, setting.Errorf("Failover."+channel, "%w", err))
		}
	}
	rates, err := NewPrefixBreaker(PrefixBreakerConfig{App: cfg.App + "/reports", Counters: cfg.Counters, Sent: ratedMessages, Percent: ratedPercent,
		Settle: maxNoReport, Logger: cfg.Logger, Now: cfg.Now})
	if err = errors.Join(append(problems, err)...); err != nil {
		return nil, err
	}
	rates.refusal = "delivery reports of prefix come too rarely for failover"
	f := &ReportFailover{rates: rates}
	f.routes.Store(&reportedRoutes{cfg.Router, cfg.NoReportAfter})
	return f, nil
}

// Adopt makes f use the senders and times of another ReportFailover, which must not be used any more, and keeps its counts. With
// nil no message moves any more.
func (f *ReportFailover) Adopt(next *ReportFailover) {
	if next == nil {
		f.routes.Store(&reportedRoutes{})
		return
	}
	f.routes.Store(next.routes.Load())
}

// check returns why the failover of a channel cannot work.
func (cfg *ReportFailoverConfig) check(channel string) error {
	after, senders := cfg.NoReportAfter[channel], cfg.Router.routes[channel]
	switch {
	case len(senders) < 2:
		return errors.New("the channel has no second sender")
	case !slices.ContainsFunc(senders[:len(senders)-1], (*protectedProvider).reports):
		return errors.New("no sender before the last one gets delivery reports")
	case after < minNoReport || after > maxNoReport:
		return fmt.Errorf("no_report_after must be between %s and %s", minNoReport, maxNoReport)
	}
	return nil
}

// reports reports whether the provider sends delivery reports.
func (p *protectedProvider) reports() bool {
	reporter, ok := p.sender.(Reporter)
	return ok && reporter.Callbacks() != nil
}

// ReportTimeout implements watchword.FailoverPolicy. It returns the channel's NoReportAfter if the delivery's sender gets reports and
// the channel has a sender that was not tried, and else zero.
func (f *ReportFailover) ReportTimeout(d watchword.Delivery) time.Duration {
	routes := f.routes.Load()
	timeout := routes.timeout[d.Channel]
	if timeout == 0 || !routes.router.Reports(d.Channel, d.Sender) {
		return 0
	}
	remains := func(p *protectedProvider) bool { return p.id != d.Sender && !slices.Contains(d.Tried, p.id) }
	if !slices.ContainsFunc(routes.router.routes[d.Channel], remains) {
		return 0
	}
	return timeout
}

// ReportsCome implements watchword.FailoverPolicy.
func (f *ReportFailover) ReportsCome(channel, prefix string) bool {
	return f.rates.refusedFor(rateKey(channel, prefix)) <= 0
}

// CountSent implements watchword.FailoverPolicy.
func (f *ReportFailover) CountSent(channel, prefix string, created time.Time) {
	f.rates.addPending(watchword.Event{Prefix: rateKey(channel, prefix), StartedAt: created}, 1, 0)
}

// CountReport implements watchword.FailoverPolicy.
func (f *ReportFailover) CountReport(channel, prefix string, created time.Time) {
	f.rates.addPending(watchword.Event{Prefix: rateKey(channel, prefix), StartedAt: created}, 0, 1)
}

func rateKey(channel, prefix string) string { return channel + " " + prefix }

// Exchange exchanges the counts of this process with Counters; see PrefixBreaker.Exchange.
func (f *ReportFailover) Exchange(ctx context.Context) error { return f.rates.Exchange(ctx) }

// Run exchanges counts in the background until the context ends. Call Run only once.
func (f *ReportFailover) Run(ctx context.Context) error { return f.rates.Run(ctx) }
