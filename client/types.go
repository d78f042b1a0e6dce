package client

import (
	"encoding/json"
	"time"

	"github.com/watchword-auth/watchword"
)

// A ClientInfo is the person's device, which limits use.
type ClientInfo struct {
	IP        string `json:"ip,omitzero"` // of the person, not of your server
	UserAgent string `json:"user_agent,omitzero"`
	Known     bool   `json:"known,omitzero"` // the app recognizes this device
}

// A StartClientInfo is the person's device at the start of a challenge.
type StartClientInfo struct {
	ClientInfo
	DeviceToken string `json:"device_token,omitzero"` // of a trusted device, from the app's cookie
}

// A StartRequest starts a challenge. Strategy and Purpose are required.
type StartRequest struct {
	Strategy      string            `json:"strategy"`
	Purpose       string            `json:"purpose"`
	Channel       string            `json:"channel,omitzero"`
	To            string            `json:"to,omitzero"`      // phone number or e-mail address
	Subject       string            `json:"subject,omitzero"` // the app's own id of the person
	Locale        string            `json:"locale,omitzero"`  // BCP 47
	Transaction   map[string]string `json:"transaction,omitempty"`
	Client        StartClientInfo   `json:"client,omitzero"`
	ReturnURL     string            `json:"return_url,omitzero"`
	Nonce         string            `json:"nonce,omitzero"` // copied into the receipt
	Metadata      map[string]string `json:"metadata,omitempty"`
	Label         string            `json:"label,omitzero"`         // enrol: name of the new factor
	Factor        string            `json:"factor,omitzero"`        // id of the only factor that may answer
	Decoy         bool              `json:"decoy,omitzero"`         // looks real, sends nothing and is never approved
	Authorization string            `json:"authorization,omitzero"` // enrol: a receipt of purpose manage_factors
}

// An Answer is what the person gave back: Text or Credential.
type Answer struct {
	text       string
	credential json.RawMessage
}

// Text returns the answer of a code or of a link's token.
func Text(text string) Answer { return Answer{text: text} }

// Credential returns the answer of a passkey or security key: the JSON object of the browser.
func Credential(object json.RawMessage) Answer { return Answer{credential: object} }

// MarshalJSON returns a string or the credential's object.
func (a Answer) MarshalJSON() ([]byte, error) {
	if a.credential != nil {
		return a.credential, nil
	}
	return json.Marshal(a.text)
}

// A CheckRequest checks an answer to a challenge or a verification. It repeats Purpose and Subject, or To, of the start.
type CheckRequest struct {
	Purpose     string            `json:"purpose"`
	Subject     string            `json:"subject,omitzero"`
	To          string            `json:"to,omitzero"`
	Answer      Answer            `json:"answer"`
	Method      string            `json:"method,omitzero"` // verifications: id of the method, required once several are open
	Transaction map[string]string `json:"transaction,omitempty"`
	Client      ClientInfo        `json:"client,omitzero"`
}

// A RedeemRequest collects the receipt of what was answered on a hosted page or by a link.
type RedeemRequest struct {
	Handle     string `json:"handle"` // from the session of the browser that started it
	Purpose    string `json:"purpose"`
	Subject    string `json:"subject,omitzero"`
	To         string `json:"to,omitzero"`
	ReturnCode string `json:"return_code,omitzero"` // of the query with which the browser came back
}

// A VerificationRequest starts a verification. Purpose and Methods are required.
type VerificationRequest struct {
	Purpose        string                `json:"purpose"`
	Subject        string                `json:"subject,omitzero"`
	Methods        []MethodRequest       `json:"methods"`
	Open           watchword.OpenChoice  `json:"open,omitzero"`
	Fallback       *FallbackRequest      `json:"fallback,omitzero"` // nil: none
	Require        watchword.Requirement `json:"require,omitzero"`
	DeviceToken    string                `json:"device_token,omitzero"` // of a trusted device, from the app's cookie
	RememberDevice bool                  `json:"remember_device,omitzero"`
	Transaction    map[string]string     `json:"transaction,omitempty"`
	Client         ClientInfo            `json:"client,omitzero"`
	Locale         string                `json:"locale,omitzero"`
	ReturnURL      string                `json:"return_url,omitzero"`
	Nonce          string                `json:"nonce,omitzero"`
	Metadata       map[string]string     `json:"metadata,omitempty"`
	Decoy          bool                  `json:"decoy,omitzero"`
}

// A MethodRequest is one method that may answer a verification.
type MethodRequest struct {
	Strategy string `json:"strategy"`
	Channel  string `json:"channel,omitzero"`
	To       string `json:"to,omitzero"`
	Factor   string `json:"factor,omitzero"`
	Fallback bool   `json:"fallback,omitzero"` // the server may open it by itself
}

// A FallbackRequest turns on the automatic fallback.
type FallbackRequest struct {
	After int `json:"after"` // seconds, 10 to 600
}

// A Challenge is a challenge without its secrets. The fields about messages are zero if none is sent.
type Challenge struct {
	ID                string           `json:"id"`
	Verification      string           `json:"verification"` // id of the verification that it is part of
	Status            watchword.Status `json:"status"`       // a hint: only a receipt proves
	Strategy          string           `json:"strategy"`
	Channel           string           `json:"channel"`
	Purpose           string           `json:"purpose"`
	Subject           string           `json:"subject"`
	SentTo            string           `json:"sent_to"` // masked
	Ask               watchword.Ask    `json:"ask"`
	CreatedAt         time.Time        `json:"created_at"`
	ExpiresAt         time.Time        `json:"expires_at"`
	AttemptsRemaining int              `json:"attempts_remaining"`
	SendsRemaining    int              `json:"sends_remaining"`
	ResendAt          time.Time        `json:"resend_at"`
	Delivery          Delivery         `json:"delivery"`
}

// A Delivery is what became of the last message.
type Delivery struct {
	Status   string `json:"status"` // queued, sent, delivered or failed
	Provider string `json:"provider"`
}

// A StartedChallenge is a challenge that was started, with its secrets.
type StartedChallenge struct {
	OpenChallenge
	Handle      string `json:"handle"`
	DeviceToken string `json:"device_token"` // replaces that of the request, if it was valid
	PageURL     string `json:"page_url"`
}

// An OpenChallenge is the challenge of a method, with what its ask needs.
type OpenChallenge struct {
	Challenge
	Public Public `json:"public"`
}

// A Verification is a verification without its secrets.
type Verification struct {
	ID        string           `json:"id"`
	Status    watchword.Status `json:"status"` // a hint: only a receipt proves
	Purpose   string           `json:"purpose"`
	Subject   string           `json:"subject"`
	Methods   []Method         `json:"methods"`  // those that are offered, in the order of preference
	Method    string           `json:"method"`   // id of the one that was opened last
	Fallback  *Fallback        `json:"fallback"` // nil: the server opened none by itself
	CreatedAt time.Time        `json:"created_at"`
	ExpiresAt time.Time        `json:"expires_at"`
}

// A Method is one method that a verification offers.
type Method struct {
	ID       string           `json:"id"`
	Strategy string           `json:"strategy"`
	Channel  string           `json:"channel"`
	SentTo   string           `json:"sent_to"` // masked
	Factor   string           `json:"factor"`
	Ask      watchword.Ask    `json:"ask"`
	Status   watchword.Status `json:"status"` // empty if it was not opened
}

// A Fallback is a method that the server has opened by itself, and the one whose message did not arrive.
type Fallback struct {
	Method string `json:"method"`
	From   string `json:"from"`
}

// A VerificationStatus is a verification as it is read.
type VerificationStatus struct {
	Verification
	Challenge *Challenge `json:"challenge"` // of Method, while it is pending; nil: none
}

// An OpenedVerification is a verification with the challenge of the method that was opened.
type OpenedVerification struct {
	Verification
	Challenge *OpenChallenge `json:"challenge"`
}

// A StartedVerification is a verification that was started, with its secrets. If Status is approved, a trusted device has answered it:
// then it has Receipt, Claims and DeviceToken, and no Handle.
type StartedVerification struct {
	OpenedVerification
	Handle      string            `json:"handle"`
	PageURL     string            `json:"page_url"`
	Ticket      string            `json:"ticket"`
	Receipt     string            `json:"receipt"`
	Claims      *watchword.Claims `json:"claims"`
	DeviceToken string            `json:"device_token"` // replaces that of the request, if it was valid
}

// An Approval is a right answer: the receipt, which package receipt verifies, and its claims.
type Approval struct {
	Status      watchword.Status `json:"status"` // always approved
	Receipt     string           `json:"receipt"`
	Claims      watchword.Claims `json:"claims"`
	Factor      *Factor          `json:"factor"`       // challenges of purpose enrol: the new factor
	Method      string           `json:"method"`       // verifications: id of the method that was answered
	DeviceToken string           `json:"device_token"` // verifications: of the device that is trusted from now on
}

// A Factor is what a subject has enrolled, without its secrets.
type Factor struct {
	ID         string         `json:"id"`
	Strategy   string         `json:"strategy"`
	Subject    string         `json:"subject"`
	Label      string         `json:"label"`
	CreatedAt  time.Time      `json:"created_at"`
	LastUsedAt time.Time      `json:"last_used_at"`
	Status     string         `json:"status"` // active or disabled
	Public     map[string]any `json:"public"`
}

// A Public is what an ask needs to be shown. Which fields are set depends on Ask.
type Public struct {
	Length   int      `json:"length"`   // code, link, scan: characters of a code; 0: several lengths are accepted
	Alphabet string   `json:"alphabet"` // code, link, scan: the characters of a code
	Letters  bool     `json:"letters"`  // code: it may have letters
	Codes    []string `json:"codes"`    // code: the new recovery codes, shown this once
	Code     bool     `json:"code"`     // link: the message has a code beside the link
	Number   string   `json:"number"`   // link: to show on your page
	Secret   string   `json:"secret"`   // scan: in base32, for people who type it
	URI      string   `json:"uri"`      // scan: otpauth URI
	QR       string   `json:"qr"`       // scan: data URI of a picture of URI

	// JSON is the whole object. For key and new_key give it to the browser, which needs nothing else.
	JSON json.RawMessage `json:"-"`
}

// UnmarshalJSON keeps the text of the object.
func (p *Public) UnmarshalJSON(text []byte) error {
	type fields Public
	if err := json.Unmarshal(text, (*fields)(p)); err != nil {
		return err
	}
	p.JSON = append(json.RawMessage(nil), text...)
	return nil
}
