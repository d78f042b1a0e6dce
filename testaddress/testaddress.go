// Package testaddress gives addresses a fixed code, for development and for tests of apps. Some of them fail in a known way.
//
// A mailbox is a test address if it is NAME+test@example.com (RFC 2606 §3 reserves the domain), and a phone number if it is
// +1 NXX 555 0100 to +1 NXX 555 0199, which are reserved for fiction in every area code of the North American Numbering Plan.
// WrapStrategy makes a strategy that sends codes use Code for them.
//
// A Persona is how a test address behaves. It needs a Sender before the other senders. An engine refuses strategies of this package unless Config.Development is set.
package testaddress

import (
	"regexp"
	"strings"
	"time"
)

// Code is the code of every test address.
const Code = "424242"

// Delay is how late the messages of Slow arrive. The server's pages say before that a message takes longer than usual.
const Delay = 15 * time.Second

// A Persona is how a test address behaves.
type Persona string

// The personas.
const (
	Ordinary      Persona = "ordinary"      // the message arrives, and Code is right
	Undeliverable Persona = "undeliverable" // the message is refused for good, as for a mailbox that does not exist
	Slow          Persona = "slow"          // the message arrives after Delay
	Locked        Persona = "locked"        // Code is answered as after too many wrong answers
	Expired       Persona = "expired"       // Code is answered as after the challenge has expired
)

var (
	mailboxPattern = regexp.MustCompile(`^([^@]+)\+test@example\.com$`)
	numberPattern  = regexp.MustCompile(`^\+1[2-9][0-9]{2}555(01[0-9]{2})$`)
)

// personasOfMailboxes are the personas by the local part, up to its first dot.
var personasOfMailboxes = map[string]Persona{"undeliverable": Undeliverable, "slow": Slow, "locked": Locked, "expired": Expired}

// personasOfNumbers are the personas by the last four digits.
var personasOfNumbers = map[string]Persona{"0196": Undeliverable, "0197": Slow, "0198": Locked, "0199": Expired}

// Find returns the persona of an address in canonical form; ok is false if it is no test address. The letter case of a mailbox does
// not matter.
func Find(address string) (p Persona, ok bool) {
	if found := numberPattern.FindStringSubmatch(address); found != nil {
		return orOrdinary(personasOfNumbers[found[1]]), true
	}
	if found := mailboxPattern.FindStringSubmatch(strings.ToLower(address)); found != nil {
		name, _, _ := strings.Cut(found[1], ".")
		return orOrdinary(personasOfMailboxes[name]), true
	}
	return "", false
}

func orOrdinary(p Persona) Persona {
	if p == "" {
		return Ordinary
	}
	return p
}
