package webhook

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/setting"
)

// eventTypes are all that an engine has.
func eventTypes() []string {
	return []string{
		watchword.EventStarted, watchword.EventApproved, watchword.EventFailed, watchword.EventLocked, watchword.EventExpired,
		watchword.EventCanceled, watchword.EventReported,
		watchword.EventMessageSent, watchword.EventMessageDelivered, watchword.EventMessageFailed,
		watchword.EventFactorEnrolled, watchword.EventFactorRemoved, watchword.EventFactorDisabled, watchword.EventFactorFailing, watchword.EventFactorLow,
		watchword.EventLimitReached,
		watchword.EventLinkOpened, watchword.EventScannerSuspected,
	}
}

// typeFilter are the events that an endpoint gets; nil: all.
type typeFilter map[string]bool

func (t typeFilter) matches(name string) bool { return t == nil || t[name] }

// parseTypes reads names and beginnings such as challenge.*, and reports every one that fits no event. It does not repeat
// them: what stands in the wrong place may be a secret.
func parseTypes(field string, patterns []string) (typeFilter, error) {
	if len(patterns) == 0 {
		return nil, nil
	}
	out := typeFilter{}
	var problems []error
	for i, pattern := range patterns {
		beginning, many := strings.CutSuffix(pattern, "*")
		fits := func(name string) bool {
			return name == pattern || many && strings.HasSuffix(beginning, ".") && strings.HasPrefix(name, beginning)
		}
		if !slices.ContainsFunc(eventTypes(), fits) {
			problems = append(problems, setting.Errorf(fmt.Sprintf("%s[%d]", field, i), "is no event; there are %s, and beginnings such as challenge.*", strings.Join(eventTypes(), ", ")))
		}
		for _, name := range eventTypes() {
			if fits(name) {
				out[name] = true
			}
		}
	}
	return out, errors.Join(problems...)
}
