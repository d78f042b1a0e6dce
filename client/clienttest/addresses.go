package clienttest

import (
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
)

// Code is the code of every test address of a development server.
const Code = "424242"

// A Persona is how a test address of a development server behaves.
type Persona string

// The personas.
const (
	Ordinary      Persona = "ordinary"      // the message arrives, and Code is right
	Undeliverable Persona = "undeliverable" // the message is refused for good: the status of the delivery becomes failed
	Slow          Persona = "slow"          // the message arrives 15 seconds late; until then the status of the delivery is queued
	Locked        Persona = "locked"        // Code is refused with watchword.ErrAttemptsExhausted, as after too many wrong answers
	Expired       Persona = "expired"       // Code is refused with watchword.ErrChallengeExpired, as after ten minutes
)

// Email returns a mailbox of the persona that no other test uses, because limits count by address. The fixed mailbox of a persona is
// its name with +test@example.com.
func (p Persona) Email() string {
	return string(p) + "." + strings.ToLower(rand.Text()) + "+test@example.com"
}

// Phone returns a random phone number of the persona, in E.164. There are 60 of each, and 5,760 ordinary ones. The fixed number of a
// persona is the one with the area code 415.
func (p Persona) Phone() string {
	number, special := lastNumbers[p]
	if !special {
		number = 100 + mathrand.N(ordinaryNumbers)
	}
	return fmt.Sprintf("+1%d555%04d", areaCodes[mathrand.N(len(areaCodes))], number)
}

const ordinaryNumbers = 96 // from 0100; the last four are the other personas

var lastNumbers = map[Persona]int{Undeliverable: 196, Slow: 197, Locked: 198, Expired: 199}

var areaCodes = []int{
	201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 301, 302, 303, 304, 305, 307, 308, 309, 310, 312, 313, 314, 315,
	316, 317, 318, 319, 401, 402, 404, 405, 406, 408, 410, 412, 413, 414, 415, 417, 419, 501, 502, 503, 504, 505, 507, 508, 509, 510, 512, 513, 515, 516,
}
