package main

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/watchword-auth/watchword/internal/hosts"
)

// lookupTimeout bounds the resolution of all host names.
const lookupTimeout = 2 * time.Second

// findRefusedHosts returns a problem for each sender and event endpoint whose host resolves to addresses that may not be
// connected to. Without it, such a mistake would show only when a message is not sent. A name that is not resolved in time is
// no problem.
func (b *builder) findRefusedHosts(ctx context.Context) []error {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	var problems []error
	check := func(app, path, rawURL string) {
		u, err := url.Parse(rawURL)
		if err != nil || u.Hostname() == "" || u.Hostname() == "localhost" || isIP(u.Hostname()) || hosts.CheckHost(u.Hostname()) != nil {
			return // checked when it is opened
		}
		all.Go(func() {
			if err := b.senderEnvironment(app).CheckResolved(ctx, u.Hostname()); err != nil {
				mu.Lock()
				defer mu.Unlock()
				problems = append(problems, fmt.Errorf("%s: %w", path, err))
			}
		})
	}
	for i, a := range b.settings.apps {
		for _, senders := range a.send {
			for _, s := range senders {
				check(a.id, s.path, s.url.Reveal())
			}
		}
		for n, e := range a.events {
			check(a.id, fmt.Sprintf("apps[%d].events[%d].url", i, n), e.url.Reveal())
		}
	}
	all.Wait()
	return problems
}
