package watchword

import (
	"encoding/json"
	"errors"
)

// Public is what a strategy shows the starter of a challenge, to be answered on a page: its members depend on the Ask.
type Public map[string]any

// KeyOptions returns the JSON that a page passes to PublicKeyCredential.parseRequestOptionsFromJSON for AskKey, and to
// parseCreationOptionsFromJSON for AskNewKey (WebAuthn Level 3 §5.1.8, §5.1.10). It returns an error for other asks.
func (p Public) KeyOptions() (json.RawMessage, error) {
	if _, isKey := p["challenge"]; !isKey {
		return nil, errors.New("watchword: the challenge asks for no key")
	}
	return json.Marshal(p)
}

// A Scan is the secret that an authenticator app takes over, in three forms.
type Scan struct {
	QR     string // a picture for the camera of another device: a data URI of a PNG
	URI    string // an otpauth URI, for a link on the device of the authenticator app
	Secret string // in base32, for people who type it
}

// Scan returns what a page shows for AskScan; the zero Scan for other asks.
func (p Public) Scan() Scan {
	return Scan{QR: p.text("qr"), URI: p.text("uri"), Secret: p.text("secret")}
}

// Number returns the number that a page shows for AskLink, and that the link's page asks for; empty if it asks for none.
func (p Public) Number() string { return p.text("number") }

// RecoveryCodes returns the codes of an enrolment of recovery codes. They are shown this once.
func (p Public) RecoveryCodes() []string {
	codes, _ := p["codes"].([]string)
	return codes
}

func (p Public) text(name string) string {
	text, _ := p[name].(string)
	return text
}
