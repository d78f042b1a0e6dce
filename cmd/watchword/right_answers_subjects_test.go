package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

// A person is a subject with one factor, and their right and wrong answers.
type person struct {
	strategy, subject string
	right             func(started reply) any
	wrong             []string
}

// A strategyUnderTest is a strategy with single-use answers, the number of tries of its challenges, and how its factor is enrolled.
type strategyUnderTest struct {
	strategy string
	tries    int
	enrol    func(n *node, p *person) error
}

func strategiesUnderTest(t *testing.T, n *node) []strategyUnderTest {
	return []strategyUnderTest{
		{"totp", 3, enrolTOTP},
		{"hotp", 3, enrolHOTP},
		{"recovery", 5, enrolRecovery(unusedCodes(t, n))},
		{"webauthn", 1, enrolKey},
	}
}

// newPerson enrols a factor for a new subject.
func (k strategyUnderTest) newPerson(n *node) (*person, error) {
	p := &person{strategy: k.strategy, subject: newSubject()}
	return p, k.enrol(n, p)
}

// enrolWith starts an enrolment and finishes it with an answer to its public data.
func (p *person) enrolWith(n *node, answer func(public object) any) error {
	started, err := n.begin(p.strategy, "enrol", p.subject)
	if err != nil {
		return err
	}
	public, _ := started.body["public"].(object)
	r, err := n.answer(started.str("id"), "enrol", p.subject, answer(public))
	if err == nil && r.status != http.StatusOK {
		err = fmt.Errorf("enrol %s: %d %s", p.strategy, r.status, r.text)
	}
	return err
}

// enrolTOTP enrols with the present code. The right answer is the next code, which is accepted for longer than a round takes.
func enrolTOTP(n *node, p *person) error {
	const period = 30 * time.Second
	return p.enrolWith(n, func(public object) any {
		now := time.Now()
		code := func(steps int) string {
			code, _ := totp.GenerateCode(fmt.Sprint(public["secret"]), now.Add(time.Duration(steps)*period))
			return code
		}
		p.right, p.wrong = constantAnswer(code(1)), codesOutside(code, -12, 14)
		return code(0)
	})
}

func enrolHOTP(n *node, p *person) error {
	return p.enrolWith(n, func(public object) any {
		code := func(counter int) string {
			code, _ := hotp.GenerateCode(fmt.Sprint(public["secret"]), uint64(counter))
			return code
		}
		p.right, p.wrong = constantAnswer(code(1)), codesOutside(code, 0, 14)
		return code(0)
	})
}

func constantAnswer(answer string) func(reply) any { return func(reply) any { return answer } }

// codesOutside returns codes other than those of a range of steps or counters.
func codesOutside(code func(int) string, from, to int) (wrong []string) {
	var taken []string
	for n := from; n <= to; n++ {
		taken = append(taken, code(n))
	}
	for n := 0; len(wrong) < 4; n++ {
		if guess := fmt.Sprintf("%06d", n); !slices.Contains(taken, guess) {
			wrong = append(wrong, guess)
		}
	}
	return wrong
}

// unusedCodes returns well-formed recovery codes that no subject has.
func unusedCodes(t *testing.T, n *node) []string {
	t.Helper()
	started, err := n.begin("recovery", "enrol", newSubject())
	if err != nil {
		t.Fatal(err)
	}
	public, _ := started.body["public"].(object)
	return toStrings(public["codes"])
}

func toStrings(list any) (out []string) {
	all, _ := list.([]any)
	for _, v := range all {
		out = append(out, fmt.Sprint(v))
	}
	return out
}

// enrolRecovery confirms a set by its first code, which stays unused. The right answer is the second code.
func enrolRecovery(wrong []string) func(*node, *person) error {
	return func(n *node, p *person) error {
		p.wrong = wrong
		return p.enrolWith(n, func(public object) any {
			codes := toStrings(public["codes"])
			p.right = constantAnswer(codes[1])
			return codes[0]
		})
	}
}

// enrolKey registers a virtual authenticator of an independent library.
func enrolKey(n *node, p *person) error {
	rp := virtualwebauthn.RelyingParty{ID: "localhost", Name: devApp, Origin: "http://localhost:3000"}
	auth, credential := virtualwebauthn.NewAuthenticator(), newCredential()
	p.right = func(started reply) any {
		request, err := virtualwebauthn.ParseAssertionOptions(string(asJSON(started.body["public"])))
		if err != nil {
			return err.Error()
		}
		credential.Counter++
		return json.RawMessage(virtualwebauthn.CreateAssertionResponse(rp, auth, credential, *request))
	}
	return p.enrolWith(n, func(public object) any {
		creation, err := virtualwebauthn.ParseAttestationOptions(string(asJSON(public)))
		if err != nil {
			return err.Error()
		}
		auth.Options.UserHandle = []byte(creation.UserID)
		auth.AddCredential(credential)
		return json.RawMessage(virtualwebauthn.CreateAttestationResponse(rp, auth, credential, *creation))
	})
}

// newCredential makes a key whose coordinates both have 32 bytes. The library omits leading zeros, which is wrong for one key in 128.
func newCredential() virtualwebauthn.Credential {
	const whole = 77 // bytes in COSE form
	for {
		if c := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2); len(c.Key.AttestationData()) == whole {
			return c
		}
	}
}

func asJSON(v any) []byte {
	text, _ := json.Marshal(v)
	return text
}
