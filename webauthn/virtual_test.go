package webauthn

import (
	"encoding/json"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/watchword-auth/watchword"
)

// An independent implementation of an authenticator, with elliptic curves and RSA.
func TestVirtualAuthenticatorIsAccepted(t *testing.T) {
	rp := virtualwebauthn.RelyingParty{ID: "example.com", Name: "Example", Origin: "https://login.example.com"}
	for _, kind := range []virtualwebauthn.KeyType{virtualwebauthn.KeyTypeEC2, virtualwebauthn.KeyTypeRSA} {
		k := newKit(t)
		auth := virtualwebauthn.NewAuthenticator()
		credential := newCredential(kind)

		a := k.startChallenge(watchword.PurposeEnrol, "user_42")
		creation, err := virtualwebauthn.ParseAttestationOptions(encodeText(t, a.options))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.answer(a, virtualwebauthn.CreateAttestationResponse(rp, auth, credential, *creation)); err != nil {
			t.Fatalf("%s, enrol: %v (%s)", kind, err, k.refusals.lastReason())
		}
		auth.Options.UserHandle = []byte(creation.UserID)
		auth.AddCredential(credential)

		for _, subject := range []string{"user_42", ""} {
			a := k.startChallenge("sign_in", subject)
			request, err := virtualwebauthn.ParseAssertionOptions(encodeText(t, a.options))
			if err != nil {
				t.Fatal(err)
			}
			if subject != "" && auth.FindAllowedCredential(*request) == nil {
				t.Error("the key is not asked for")
			}
			credential.Counter++
			if _, err := k.answer(a, virtualwebauthn.CreateAssertionResponse(rp, auth, credential, *request)); err != nil {
				t.Errorf("%s, sign in as %q: %v (%s)", kind, subject, err, k.refusals.lastReason())
			}
		}
	}
}

// newCredential returns a key whose coordinates, if it has any, both have 32 bytes: the library omits leading zeros, so one
// key in 128 is invalid.
func newCredential(kind virtualwebauthn.KeyType) virtualwebauthn.Credential {
	const whole = 77 // bytes in COSE form
	for {
		c := virtualwebauthn.NewCredential(kind)
		if kind != virtualwebauthn.KeyTypeEC2 || len(c.Key.AttestationData()) == whole {
			return c
		}
	}
}

func encodeText(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
