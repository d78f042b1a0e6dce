package smtp

import (
	"slices"
	"strings"

	"github.com/wneessen/go-mail"

	"github.com/watchword-auth/watchword"
)

// A step is the part of an SMTP session that a reply answers.
type step int

const (
	stepSession step = iota // greeting, EHLO, STARTTLS, AUTH, MAIL FROM and RSET: they do not name the recipient
	stepRecipient
	stepContent // DATA and its end
)

// stepOf returns the step of a failure of go-mail.
func stepOf(reason mail.SendErrReason) step {
	switch reason {
	case mail.ErrSMTPRcptTo:
		return stepRecipient
	case mail.ErrSMTPData, mail.ErrSMTPDataClose, mail.ErrWriteContent:
		return stepContent
	}
	return stepSession
}

// A verdict is whose fault a negative reply is, and whether the server will never accept the message.
type verdict struct {
	fault     watchword.SendFault
	permanent bool
}

var (
	providerFails    = verdict{watchword.FaultProvider, false}
	recipientWaits   = verdict{watchword.FaultRecipient, false}
	recipientRefused = verdict{watchword.FaultRecipient, true}
	messageWaits     = verdict{watchword.FaultMessage, false}
	messageRefused   = verdict{watchword.FaultMessage, true}
)

// A rule maps replies to a verdict. Its empty fields match every reply.
type rule struct {
	steps    []step
	codes    []int  // reply codes, RFC 5321 §4.2; a number below 10 is the first digit
	enhanced string // beginning of the enhanced status code after its class, RFC 3463 §3, such as "1."
	verdict  verdict
}

// rules decide whose fault a negative reply is; the first match counts. docs/senders.md has the same table. A fault of the session
// is never permanent: the server may be repaired, or its configuration, while the code lives.
var rules = []rule{
	{codes: []int{421, 454, 500, 501, 502, 503, 504, 530, 534, 535, 538}, verdict: providerFails}, // shutting down; protocol; authentication
	{steps: []step{stepSession}, codes: []int{552}, verdict: messageRefused},                      // larger than the server accepts, by MAIL FROM
	{steps: []step{stepSession}, enhanced: "3.4", verdict: messageRefused},
	{steps: []step{stepSession}, verdict: providerFails},

	{enhanced: "3.4", verdict: messageRefused}, // too large
	{enhanced: "3.", verdict: providerFails},   // mail system: full, not accepting
	{enhanced: "5.", verdict: providerFails},   // protocol

	{steps: []step{stepRecipient}, codes: []int{4}, verdict: recipientWaits}, // greylisted, mailbox full, unreachable domain
	{steps: []step{stepRecipient}, codes: []int{5}, verdict: recipientRefused},

	{codes: []int{4}, enhanced: "1.", verdict: recipientWaits}, // address
	{codes: []int{5}, enhanced: "1.", verdict: recipientRefused},
	{codes: []int{4}, enhanced: "2.", verdict: recipientWaits}, // mailbox
	{codes: []int{5}, enhanced: "2.", verdict: recipientRefused},
	{codes: []int{4}, enhanced: "4.", verdict: recipientWaits}, // the way to the recipient's server
	{codes: []int{4}, enhanced: "7.", verdict: recipientWaits}, // greylisted after DATA
	{codes: []int{4}, enhanced: "6.", verdict: messageWaits},   // content
	{codes: []int{5}, verdict: messageRefused},                 // refused content
	{verdict: providerFails},                                   // 451 and others without a code that says more, and no valid reply
}

// judge returns the verdict on a reply. The code 0 is no valid reply, of which the connection has broken.
func judge(at step, r reply) verdict {
	if r.code < 400 || r.code > 599 {
		return providerFails
	}
	detail := ""
	if len(r.enhanced) > 2 {
		detail = r.enhanced[2:]
	}
	i := slices.IndexFunc(rules, func(rule rule) bool {
		return (rule.steps == nil || slices.Contains(rule.steps, at)) &&
			(rule.codes == nil || slices.Contains(rule.codes, r.code) || slices.Contains(rule.codes, r.code/100)) &&
			strings.HasPrefix(detail, rule.enhanced)
	})
	return rules[i].verdict
}
