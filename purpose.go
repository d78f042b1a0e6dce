package watchword

import (
	"maps"
	"slices"
	"strings"
)

// ownPurposes are those that mean something to the engine.
var ownPurposes = []string{PurposeSignIn, PurposeMFA, PurposePasswordReset, PurposeEnrol, PurposeManageFactors}

// knownPurposes are the engine's own by their letters alone, with the spellings of other people's dictionaries.
var knownPurposes = map[string]string{
	"signin":        PurposeSignIn,
	"mfa":           PurposeMFA,
	"passwordreset": PurposePasswordReset,
	"enrol":         PurposeEnrol,
	"enroll":        PurposeEnrol,
	"enrolment":     PurposeEnrol,
	"enrollment":    PurposeEnrol,
	"managefactor":  PurposeManageFactors,
	"managefactors": PurposeManageFactors,
}

var wordSeparators = strings.NewReplacer("_", "", "-", "", " ", "")

// intendedPurpose is the purpose of the engine's that another one is nearly, or empty. Such a challenge would do something else
// than was meant, without a word.
func intendedPurpose(purpose string) string {
	meant := knownPurposes[wordSeparators.Replace(strings.ToLower(purpose))]
	if meant == purpose {
		return ""
	}
	return meant
}

// purposeProblem says what is wrong with the purpose of a start; empty: nothing is. What the app lists it means.
func (e *Engine) purposeProblem(purpose string) string {
	if e.purposes[purpose] || len(e.purposes) == 0 && slices.Contains(ownPurposes, purpose) {
		return ""
	}
	switch meant := intendedPurpose(purpose); {
	case meant != "":
		return "is nearly " + meant + ": use that, or list yours in the setting purposes"
	case !purposePattern.MatchString(purpose):
		return "needs 1 to 40 of a-z, 0-9 and _"
	case len(e.purposes) > 0:
		return notListed("uses", e.purposes)
	}
	return ""
}

// notListed is the reason for refusing a name that is not among those that the app offers, uses or can send by.
func notListed[V any](verb string, names map[string]V) string {
	list := "none"
	if len(names) > 0 {
		list = strings.Join(slices.Sorted(maps.Keys(names)), ", ")
	}
	return "is not one that this app " + verb + ": " + list
}
