package main

import (
	"context"
	"errors"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/setting"
)

// openSenders opens the senders of every channel. If some fail, it returns an error and a router of the others, so that the
// rest of the app can be checked.
func (b *builder) openSenders(a appSettings, providers delivery.Openers, callbacks *callbacks) (routes map[string][]delivery.Provider, router *delivery.Router, err error) {
	routes = map[string][]delivery.Provider{}
	var problems []error
	for _, channel := range channelNames(a) {
		ids := senderIDs(a.send[channel])
		for position, s := range a.send[channel] {
			env := callbacks.assignURL(b.senderEnvironment(a.id), channel, ids[position])
			if b.tracing != nil && env.Report != nil {
				env.Report = b.tracing.traceReports(a.id, env.Report)
			}
			env.Channel, env.Sender, env.Host = channel, ids[position], hostOf(a.publicURL)
			sender, err := providers.Open(context.Background(), s.url.Reveal(), env)
			if err != nil {
				problems = append(problems, setting.Errorf(s.path, "%w", err))
				continue
			}
			callbacks.addRoute(sender, env)
			if described, ok := sender.(delivery.Summarizer); ok {
				b.service.senders = append(b.service.senders, senderSummary{a.id, s.path, described.Settings()})
			}
			routes[channel] = append(routes[channel], delivery.Provider{Name: providerName(s.url), Sender: sender, ID: ids[position]})
		}
	}
	cfg := delivery.RouterConfig{Routes: routes, Logger: b.log.With("app", a.id)}
	if b.metrics != nil {
		cfg.OnTry = b.metrics.delivery.tryObserver(a.id)
	}
	router, err = delivery.NewRouter(cfg)
	if err == nil && b.metrics != nil {
		b.metrics.addApp(a.id, router.Senders())
	}
	return routes, router, errors.Join(append(problems, err)...)
}

// senderEnvironment is what senders and event publishers of an app get beside their URL.
func (b *builder) senderEnvironment(app string) delivery.Environment {
	version, _ := buildVersion()
	return delivery.Environment{UserAgent: "watchword/" + strings.Trim(version, "()"), Logger: b.log.With("app", app), Development: b.settings.development, Allowed: b.settings.allowed, Proxy: b.settings.outgoingProxy}
}

// providerName is the sender's name in logs and in a challenge's delivery: the URL's scheme up to a "+".
func providerName(secret watchword.Code) string {
	scheme, _, _ := strings.Cut(secret.Reveal(), ":")
	name, _, _ := strings.Cut(scheme, "+")
	return name
}
