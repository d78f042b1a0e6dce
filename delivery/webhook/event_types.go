package webhook

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/setting"
)

// eventTypes returns all event types of the engine.
func eventTypes() []string {
	return []string{
		watchword.EventStarted, watchword.EventApproved, watchword.EventFailed, watchword.EventLocked, watchword.EventExpired,
		watchword.EventCanceled, watchword.EventReported,
		watchword.EventVerificationStarted, watchword.EventVerificationApproved, watchword.EventVerificationExpired, watchword.EventVerificationCanceled,
		watchword.EventMessageSent, watchword.EventMessageDelivered, watchword.EventMessageFailed,
		watchword.EventFactorEnrolled, watchword.EventFactorRemoved, watchword.EventFactorDisabled, watchword.EventFactorFailing, watchword.EventFactorLow,
		watchword.EventDeviceReused,
		watchword.EventLimitReached,
		watchword.EventLinkOpened, watchword.EventScannerSuspected,
	}
}

// A typeFilter is the set of event types that an endpoint gets; nil: all.
type typeFilter map[string]bool

func (t typeFilter) matches(name string) bool { return t == nil || t[name] }

// parseTypes parses names of event types and patterns such as challenge.*. The error names every one that matches no event by its
// index. It does not contain their texts, because a misplaced value may be a secret.
func parseTypes(field string, patterns []string) (typeFilter, error) {
	if len(patterns) == 0 {
		return nil, nil
	}
	out := typeFilter{}
	var problems []error
	for i, pattern := range patterns {
		prefix, wildcard := strings.CutSuffix(pattern, "*")
		matches := func(name string) bool {
			return name == pattern || wildcard && strings.HasSuffix(prefix, ".") && strings.HasPrefix(name, prefix)
		}
		if !slices.ContainsFunc(eventTypes(), matches) {
			problems = append(problems, setting.Errorf(fmt.Sprintf("%s[%d]", field, i), "is no event; there are %s, and patterns such as challenge.*", strings.Join(eventTypes(), ", ")))
		}
		for _, name := range eventTypes() {
			if matches(name) {
				out[name] = true
			}
		}
	}
	return out, errors.Join(problems...)
}
