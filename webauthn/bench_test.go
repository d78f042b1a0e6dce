package webauthn

import (
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	lib "github.com/go-webauthn/webauthn/webauthn"

	"github.com/watchword-auth/watchword"
)

// BenchmarkAssertion compares go-webauthn's verification of a parsed assertion with a complete check by the engine on memory
// stores, from the answer's text to the receipt's claims. The two alternate with the same answers, so that the load of the
// machine affects both; "ratio" is the quotient.
func BenchmarkAssertion(b *testing.B) {
	k := newKit(b)
	d := newDevice(b)
	k.enrol("user_42", d)
	library := newLibraryLogin(k, d)
	const batch = 256
	var challenges [batch]startedChallenge
	var answers [batch]string
	var parsed [batch]*protocol.ParsedCredentialAssertionData
	var alone, whole time.Duration
	b.ReportAllocs()
	n := 0
	for ; b.Loop(); n++ {
		i := n % batch
		if i == 0 {
			b.StopTimer()
			for i := range challenges {
				challenges[i] = k.startChallenge("sign_in", "user_42")
				answers[i] = d.get(challenges[i].options)
				parsed[i], _ = parseAssertion(answers[i])
			}
			start := time.Now()
			for i, a := range parsed {
				if err := library.validate(challenges[i], a); err != nil {
					b.Fatal(err)
				}
			}
			alone += time.Since(start)
			b.StartTimer()
		}
		start := time.Now()
		if _, err := k.answer(challenges[i], answers[i]); err != nil {
			b.Fatal(err)
		}
		whole += time.Since(start)
	}
	perAlone := float64(alone) / float64((n+batch-1)/batch*batch)
	b.ReportMetric(perAlone, "ValidateLogin-ns/op")
	b.ReportMetric(float64(whole)/float64(n)/perAlone, "ratio")
}

// A libraryLogin is the input of go-webauthn's own login.
type libraryLogin struct {
	libraryUser
	strategy *Strategy
}

func newLibraryLogin(k *kit, d *device) libraryLogin {
	return libraryLogin{libraryUser{d.handle, []lib.Credential{k.storedKey("user_42").libraryCredential()}}, k.strategy}
}

func (u libraryLogin) validate(c startedChallenge, a *protocol.ParsedCredentialAssertionData) error {
	_, err := u.strategy.assertionVerifier.ValidateLogin(u.libraryUser, lib.SessionData{Challenge: c.options["challenge"].(string), UserID: u.handle,
		UserVerification: protocol.VerificationRequired, RelyingPartyID: "example.com", AllowedCredentialIDs: [][]byte{u.keys[0].ID}}, a)
	return err
}

// storedKey returns the only key of a subject.
func (k *kit) storedKey(subject string) *key {
	k.t.Helper()
	spied := &spy{Strategy: k.strategy}
	cfg := k.config
	cfg.Strategies = []watchword.Strategy{spied}
	e, err := watchword.New(cfg)
	if err != nil {
		k.t.Fatal(err)
	}
	if _, err := e.Start(k.t.Context(), watchword.StartRequest{Strategy: "webauthn", Purpose: "sign_in", Subject: subject}); err != nil {
		k.t.Fatal(err)
	}
	keys, err := k.strategy.usableKeys(k.t.Context(), &spied.challenge)
	if err != nil || len(keys) != 1 {
		k.t.Fatalf("%d keys, %v", len(keys), err)
	}
	return keys[0]
}
