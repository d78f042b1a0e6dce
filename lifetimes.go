package watchword

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/setting"
	"github.com/watchword-auth/watchword/internal/tombstones"
)

// The greatest lifetimes of links for which Config.Lifetimes has more than 10 minutes.
const (
	maxResetLifetime = time.Hour // PurposePasswordReset
	maxLinkLifetime  = 7 * 24 * time.Hour
)

// shortLived are the purposes whose challenges never live longer than 10 minutes.
var shortLived = []string{PurposeSignIn, PurposeMFA, PurposeManageFactors, PurposeEnrol}

// invalidLifetimes returns the problems of Config.Lifetimes, after the strategies were added.
func (e *Engine) invalidLifetimes() (out []error) {
	for _, purpose := range slices.Sorted(maps.Keys(e.cfg.Lifetimes)) {
		lifetime := e.cfg.Lifetimes[purpose]
		refuse := func(format string, args ...any) {
			out = append(out, setting.Errorf("Lifetimes."+purpose, format, args...))
		}
		if reason := e.purposeProblem(purpose); reason != "" {
			refuse("%q %s", purpose, reason)
		}
		switch {
		case lifetime < time.Second:
			refuse("%s is less than a second", lifetime)
		case lifetime <= maxLifetime:
		case slices.Contains(shortLived, purpose):
			refuse("%s is more than %s, the most for %s", lifetime, maxLifetime, purpose)
		case purpose == PurposePasswordReset && lifetime > maxResetLifetime:
			refuse("%s is more than %s, the most for %s", lifetime, maxResetLifetime, purpose)
		case lifetime > maxLinkLifetime:
			refuse("%s is more than %s", lifetime, maxLinkLifetime)
		case !e.sendsLongLived():
			refuse("more than %s is for links by mail: no strategy and channel send them", maxLifetime)
		case len(e.cfg.ReturnOrigins) == 0:
			refuse("more than %s needs origins of return URLs, to which such a link sends its reader", maxLifetime)
		}
	}
	return out
}

// sendsLongLived reports whether a strategy and its channel can send links that live long.
func (e *Engine) sendsLongLived() bool {
	return slices.ContainsFunc(e.cfg.Strategies, func(s Strategy) bool {
		props := s.Properties()
		return props.LongLived && e.channels[props.Channel]
	})
}

// longestLifetime returns the greatest lifetime that a challenge of the app can have.
func (e *Engine) longestLifetime() time.Duration {
	longest := maxLifetime
	for _, lifetime := range e.cfg.Lifetimes {
		longest = max(longest, lifetime)
	}
	return longest
}

// isLongLived reports whether a challenge lives longer than 10 minutes: a link by mail for a purpose with such a lifetime. The
// challenge of a verification never does.
func (e *Engine) isLongLived(req StartRequest, props StrategyProperties, to Address) bool {
	return props.LongLived && to.Kind == addressEmail && req.verification == nil && e.cfg.Lifetimes[req.Purpose] > maxLifetime
}

// lifetime returns how long a new challenge lives.
func (e *Engine) lifetime(req StartRequest, props StrategyProperties, to Address) time.Duration {
	ofPurpose, configured := e.cfg.Lifetimes[req.Purpose]
	if e.isLongLived(req, props, to) {
		return ofPurpose
	}
	lifetime := e.cfg.Lifetime
	if props.Lifetime > 0 {
		lifetime = min(props.Lifetime, maxLifetime)
	}
	if configured {
		lifetime = min(lifetime, ofPurpose)
	}
	return lifetime
}

// addressEmail is the Kind of the addresses of mailboxes.
const addressEmail = "email"

// checkLongLived refuses a link that lives long and cannot send its reader back to the app.
func (e *Engine) checkLongLived(req StartRequest, props StrategyProperties, to Address) error {
	if e.isLongLived(req, props, to) && req.ReturnURL == "" {
		return invalid("return_url", fmt.Sprintf("is required for a link that lives longer than %s", maxLifetime))
	}
	return nil
}

// tombstonesOf returns the tombstones of a challenge: those of links that live long are kept apart, so that the endings of short-lived
// challenges, of which there are many in a day, do not drop them.
func (e *Engine) tombstonesOf(id challengeID) *tombstones.Set[Status] {
	if id.isLongLived() {
		return e.linkTombstones
	}
	return e.tombstones
}
