package twilio

import (
	"net/http"
	"slices"

	"github.com/watchword-auth/watchword"
)

// A verdict is whose fault an error is, and whether Twilio will never accept the message.
type verdict struct {
	fault     watchword.SendFault
	permanent bool
}

var (
	providerFails    = verdict{watchword.FaultProvider, false}
	providerRefuses  = verdict{watchword.FaultProvider, true} // another configuration is needed
	recipientWaits   = verdict{watchword.FaultRecipient, false}
	recipientRefused = verdict{watchword.FaultRecipient, true}
	messageRefused   = verdict{watchword.FaultMessage, true}
)

// codesOf lists Twilio's error codes by verdict (twilio.com/docs/api/errors). docs/senders.md has the same table.
var codesOf = []struct {
	verdict verdict
	codes   []int
}{
	{providerFails, []int{
		14107, 20429, 21611, 63018, 63038, // limits of rate, queue or day
		20500, 20503, 30001, 30008, 30017, 30022, 30023, 30410, 63012, 63017, 63023, // an error of Twilio, the carrier or WhatsApp
		10001, 20003, 20005, 30002, 30037, 63001, 63020, 63051, // account suspended, credentials, business account
	}},
	{providerRefuses, []int{
		20404, 21212, 21213, 21601, 21603, 21606, 21609, 21655, 21659, 21660, 21701, 21703, 21704, 21705, // the number or service that sends
		30010, 30032, 30033, 30034, 63007, // registration of the sender
	}},
	{recipientWaits, []int{30003, 63015}}, // phone switched off; sandbox not joined yet
	{recipientRefused, []int{
		13223, 13224, 13225, 13226, 13227, 21201, 21211, 21214, 21217, 21401, 21604, 21614, 30005, 30006, 63003, 63024, // no such number or no phone
		21215, 21216, 21219, 21408, 21608, 21612, 30450, 30453, // not reachable from this account
		21610, 30004, 63032, 63033, 63049, // blocked or unsubscribed
	}},
	{messageRefused, []int{
		21602, 21605, 21617, 21619, 30007, 30019, 30036, // empty, too long, filtered, too old
		21656, 63005, 63013, 63016, 63021, 63027, 63028, 63030, 63040, 63041, 63042, // templates
	}},
}

// judge returns the verdict on an error answer. The status decides where the code is unknown: a code that Twilio adds later must not
// open the circuit breaker, because anybody can type a number that Twilio refuses.
func judge(status, code int) verdict {
	for _, list := range codesOf {
		if slices.Contains(list.codes, code) {
			return list.verdict
		}
	}
	switch {
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return providerFails
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound:
		return providerFails
	case status < 400:
		return providerRefuses
	}
	return recipientRefused
}
