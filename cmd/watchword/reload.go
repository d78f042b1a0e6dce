package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// reload reads the configuration again and puts into use what belongs to apps: new apps, API keys, limits, templates, senders, event
// endpoints and the rest. Requests that have begun end as they began. The log says what needs a restart. With any problem nothing
// changes.
func (p *serverProcess) reload(ctx context.Context) {
	next, err := p.readSettings()
	if err != nil {
		p.log.Error("configuration not reloaded", "problems", describeProblems(err))
		return
	}
	next.setDevPublicURL(p.address)
	merged, restart := p.settings.reloadFrom(next)
	b := newBuilder(merged, p.log)
	b.metrics, b.tracing, b.running = p.metrics, p.tracing, p.service.Load()
	svc, problems := b.build(ctx)
	if len(problems) > 0 {
		p.log.Error("configuration not reloaded", "problems", describeProblems(configError{problems}))
		return
	}
	for _, warning := range next.warnings {
		p.log.Warn("unsafe configuration", "warning", warning)
	}
	p.settings = merged
	p.tasks.start(svc)
	p.service.Store(svc)
	p.startupLog.Info("configuration reloaded", "apps", len(merged.apps))
	if len(restart) > 0 {
		p.log.Warn("changed settings need a restart", "settings", restart)
	}
}

// describeProblems returns the problems of a configuration as texts.
func describeProblems(err error) (texts []string) {
	var config configError
	if !errors.As(err, &config) {
		return []string{err.Error()}
	}
	for _, problem := range config.problems {
		texts = append(texts, problem.Error())
	}
	return texts
}

// reloadFrom returns the settings with those of next that a running server can change, and the names of those of next that differ
// and need a restart.
func (s settings) reloadFrom(next settings) (merged settings, restart []string) {
	for _, setting := range []struct {
		name       string
		value, new any
	}{
		{"listen", s.listen, next.listen}, {"metrics_listen", s.metricsListen, next.metricsListen}, {"otlp_endpoint", s.otlpEndpoint, next.otlpEndpoint}, {"log_level", s.logLevel, next.logLevel},
		{"max_connections", s.maxConnections, next.maxConnections}, {"shutdown_delay", s.shutdownDelay, next.shutdownDelay},
		{"redis", s.redis.Reveal(), next.redis.Reveal()}, {"redis.wait_replicas", s.waitReplicas, next.waitReplicas},
		{"database", s.database.Reveal(), next.database.Reveal()}, {"dev_no_limits", s.noLimits, next.noLimits},
		{"keyring", s.keyDigests["keyring"], next.keyDigests["keyring"]}, {"signing", s.keyDigests["signing"], next.keyDigests["signing"]},
		{"identity_key_file", s.keyDigests["identity_key_file"], next.keyDigests["identity_key_file"]},
		{"trusted_proxies", s.proxies, next.proxies}, {"allowed_networks", s.allowed, next.allowed}, {"outgoing_proxy", s.outgoingProxy, next.outgoingProxy},
	} {
		if !reflect.DeepEqual(setting.value, setting.new) {
			restart = append(restart, setting.name)
		}
	}
	merged = s
	merged.apps = nil
	for i, a := range next.apps {
		n := slices.IndexFunc(s.apps, func(old appSettings) bool { return old.id == a.id })
		if n < 0 {
			merged.apps = append(merged.apps, a)
			continue
		}
		if a.breaker != s.apps[n].breaker {
			restart = append(restart, fmt.Sprintf("apps[%d].prefix_breaker", i))
		}
		if len(a.noReportAfter) > 0 && len(s.apps[n].noReportAfter) == 0 {
			restart = append(restart, fmt.Sprintf("apps[%d].failover", i))
			a.noReportAfter = nil
		}
		a.breaker, a.userHandleSecret = s.apps[n].breaker, s.apps[n].userHandleSecret
		merged.apps = append(merged.apps, a)
	}
	return merged, restart
}
