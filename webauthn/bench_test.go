package webauthn

import (
	"testing"

	"github.com/go-webauthn/webauthn/protocol"
	lib "github.com/go-webauthn/webauthn/webauthn"

	"github.com/watchword-auth/watchword"
)

// What an assertion costs: go-webauthn's own judging of one that is parsed already, and the whole ceremony of the engine on
// memory, from the answer's text to the receipt's claims, with the key opened, spent and sealed again on the way.
func BenchmarkAssertion(b *testing.B) {
	k := newKit(b)
	d := newDevice(b)
	k.enrol("user_42", d)
	b.Run("ValidateLogin", func(b *testing.B) { benchmarkLibrary(b, k, d, false) })
	b.Run("ParseAndValidateLogin", func(b *testing.B) { benchmarkLibrary(b, k, d, true) })
	b.Run("Engine", func(b *testing.B) {
		const batch = 256
		var challenges [batch]asked
		var answers [batch]string
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			if n%batch == 0 {
				b.StopTimer()
				for i := range challenges {
					challenges[i] = k.ask("sign_in", "user_42")
					answers[i] = d.get(challenges[i].options)
				}
				b.StartTimer()
			}
			if _, err := k.answer(challenges[n%batch], answers[n%batch]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchmarkLibrary(b *testing.B, k *kit, d *device, parse bool) {
	a := k.ask("sign_in", "user_42")
	text := d.get(a.options)
	stored := k.storedKey("user_42")
	user := owner{d.handle, []lib.Credential{stored.record()}}
	session := lib.SessionData{Challenge: a.options["challenge"].(string), UserID: d.handle, UserVerification: protocol.VerificationRequired,
		RelyingPartyID: "example.com", AllowedCredentialIDs: [][]byte{d.id}}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(text))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if parse {
			if parsed, err = protocol.ParseCredentialRequestResponseBytes([]byte(text)); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := k.strategy.asserts.ValidateLogin(user, session, parsed); err != nil {
			b.Fatal(err)
		}
	}
}

// storedKey is the one key of a subject.
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
	keys, err := k.strategy.keys(k.t.Context(), &spied.challenge)
	if err != nil || len(keys) != 1 {
		k.t.Fatalf("%d keys, %v", len(keys), err)
	}
	return keys[0]
}
