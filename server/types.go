package server

import (
	"encoding/json"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/watchword-auth/watchword"
)

// The requests and responses of the API. Fields without omitzero are required in requests and always present in responses.

type startRequest struct {
	Strategy      string            `json:"strategy" doc:"The way to verify, for example otp."`
	Purpose       string            `json:"purpose" pattern:"^[a-z0-9_]{1,40}$" doc:"Why the subject is asked. An answer never serves another purpose."`
	Channel       string            `json:"channel,omitzero" doc:"The channel of the message, for example sms."`
	To            string            `json:"to,omitzero" doc:"The phone number or e-mail address that the message is sent to."`
	Subject       string            `json:"subject,omitzero" doc:"The app's own id of the person."`
	Locale        string            `json:"locale,omitzero" doc:"The person's language, a BCP 47 tag such as pt-BR. Messages and pages use the best matching language, otherwise English."`
	Transaction   map[string]string `json:"transaction,omitzero" doc:"The details to approve. The message and the receipt show every entry; an entry that the message cannot show unchanged is rejected."`
	Client        startClientInfo   `json:"client,omitzero" doc:"The person's device, which limits use."`
	ReturnURL     string            `json:"return_url,omitzero" doc:"The URL to which pages return; its origin must be configured for the app."`
	Nonce         string            `json:"nonce,omitzero" doc:"A value of the app, copied to the receipt."`
	Metadata      map[string]string `json:"metadata,omitzero" doc:"Values of the app, copied to events."`
	Label         string            `json:"label,omitzero" doc:"The name of the new factor, for people."`
	Factor        string            `json:"factor,omitzero" doc:"The id of the only factor that may answer."`
	Decoy         bool              `json:"decoy,omitzero" doc:"Starts a challenge that looks like any other, sends nothing and is never approved."`
	Authorization string            `json:"authorization,omitzero" doc:"A receipt of purpose manage_factors, required to enrol a factor if the subject has an active one."`
}

// clientInfo is a person's device as the app sees it. The schema is not called Client, because generators use that name for
// the API client.
type clientInfo struct {
	IP        string `json:"ip,omitzero" doc:"An IPv4 or IPv6 address."`
	UserAgent string `json:"user_agent,omitzero"`
	Known     bool   `json:"known,omitzero" doc:"The app recognizes this device."`
}

func (c clientInfo) toClient() watchword.Client { return watchword.Client(c) }

// startClientInfo is a person's device at the start of a challenge.
type startClientInfo struct {
	IP          string `json:"ip,omitzero" doc:"An IPv4 or IPv6 address."`
	UserAgent   string `json:"user_agent,omitzero"`
	Known       bool   `json:"known,omitzero" doc:"The app recognizes this device."`
	DeviceToken string `json:"device_token,omitzero" doc:"The token of a trusted device, from the app's cookie. An invalid one changes nothing."`
}

func (c startClientInfo) toClient() watchword.Client {
	return watchword.Client{IP: c.IP, UserAgent: c.UserAgent, Known: c.Known}
}

type checkRequest struct {
	Purpose     string            `json:"purpose" doc:"The value of the start."`
	Subject     string            `json:"subject,omitzero" doc:"The value of the start. Exactly one of subject and to is required, except for a discoverable passkey."`
	To          string            `json:"to,omitzero" doc:"The value of the start, if it has no subject."`
	Answer      answerField       `json:"answer"`
	Transaction map[string]string `json:"transaction,omitzero" doc:"The value of the start, to compare it."`
	Client      clientInfo        `json:"client,omitzero" doc:"The person's device, which limits use."`
}

// answerField is the answer of the person: a string, or the JSON object of a credential.
type answerField struct{ watchword.Answer }

// UnmarshalJSONFrom keeps the text of an object, which the strategy decodes.
func (a *answerField) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	switch d.PeekKind() {
	case '"':
		token, err := d.ReadToken()
		if err != nil {
			return err
		}
		a.Text = token.String()
		return nil
	case '{':
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		a.Text, a.Object = string(value), true
		return nil
	}
	return decodeReason("must be a string or an object")
}

// Schema returns the schema of the field, which the Go type cannot express.
func (answerField) Schema(r huma.Registry) *huma.Schema {
	const credential = "Credential"
	r.Map()[credential] = &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true,
		Description: "RegistrationResponseJSON or AuthenticationResponseJSON (WebAuthn Level 3 §5.1), base64url with or without padding."}
	return &huma.Schema{Description: "The answer of the person: a code, the token of a link, or a credential.",
		OneOf: []*huma.Schema{{Type: huma.TypeString}, {Ref: schemasPath + credential}}}
}

type redeemRequest struct {
	Handle  string `json:"handle" doc:"The secret from the response to the start."`
	Purpose string `json:"purpose" doc:"The value of the start."`
	Subject string `json:"subject,omitzero" doc:"The value of the start."`
	To      string `json:"to,omitzero" doc:"The value of the start, if it has no subject."`

	ReturnCode string `json:"return_code,omitzero" doc:"The parameter of return_url with which the page sent the browser back. Required once the page was opened; valid for 60 seconds."`
}

type resendRequest struct {
	Channel string `json:"channel,omitzero" doc:"Another channel that reaches the same address."`
}

func (in *redeemRequest) toRedemption(c *call) watchword.RedeemRequest {
	return watchword.RedeemRequest{Handle: in.Handle, Purpose: in.Purpose, Subject: in.Subject, To: in.To, ReturnCode: in.ReturnCode, Seed: c.seed}
}

type cancelRequest struct{}

type redeemReceiptRequest struct {
	Receipt string `json:"receipt"`
	Purpose string `json:"purpose" doc:"The purpose that the receipt must have."`
}

// challengeView is a challenge without its secrets. The fields about messages are absent if none is sent.
type challengeView struct {
	ID                string        `json:"id"`
	Verification      string        `json:"verification,omitzero" doc:"The id of the verification that the challenge is part of."`
	Status            string        `json:"status" enum:"pending,approved,expired,canceled,locked" doc:"Informative. Only a receipt proves that the challenge was approved."`
	Strategy          string        `json:"strategy"`
	Channel           string        `json:"channel,omitzero"`
	Purpose           string        `json:"purpose"`
	Subject           string        `json:"subject,omitzero"`
	SentTo            string        `json:"sent_to,omitzero" doc:"The address, masked."`
	Ask               string        `json:"ask" enum:"code,link,key,new_key,scan" doc:"What the person is asked to do."`
	CreatedAt         time.Time     `json:"created_at"`
	ExpiresAt         time.Time     `json:"expires_at"`
	AttemptsRemaining int           `json:"attempts_remaining" minimum:"0"`
	SendsRemaining    *int          `json:"sends_remaining,omitzero" minimum:"0"`
	ResendAt          time.Time     `json:"resend_at,omitzero" doc:"The earliest time of the next resend."`
	Delivery          *deliveryView `json:"delivery,omitzero"`
}

type deliveryView struct {
	Status   string `json:"status" enum:"queued,sent,delivered,failed"`
	Provider string `json:"provider,omitzero"`
}

// startedView is the response to a start. Only it has the secrets of the challenge.
type startedView struct {
	challengeView
	Handle      string          `json:"handle" doc:"The secret with which the app collects the receipt."`
	Public      json.RawMessage `json:"public" doc:"The data that the ask needs."`
	DeviceToken string          `json:"device_token,omitzero" doc:"Replaces client.device_token of the request, if that was valid."`
	PageURL     string          `json:"page_url,omitzero" format:"uri" doc:"The URL of the hosted page, with its ticket in the fragment. Absent without a return_url, except in development."`
}

// TransformSchema adds the fields of the challenge, and returns one schema for each ask.
func (startedView) TransformSchema(r huma.Registry, s *huma.Schema) *huma.Schema {
	addEmbeddedFields[challengeView](r, s)
	return newUnion(r, "ask", s, listAskVariants(r, "Started", listAskSchemas()))
}

// approvedView is the response to a right answer.
type approvedView struct {
	Status  string            `json:"status" enum:"approved"`
	Receipt string            `json:"receipt" doc:"A JWT with the same claims."`
	Claims  *watchword.Claims `json:"claims"`
	Factor  *factorView       `json:"factor,omitzero" doc:"The new factor, if the purpose is enrol."`
}

// factorView is a factor without its secrets.
type factorView struct {
	ID         string         `json:"id"`
	Strategy   string         `json:"strategy"`
	Subject    string         `json:"subject"`
	Label      string         `json:"label,omitzero"`
	CreatedAt  time.Time      `json:"created_at"`
	LastUsedAt time.Time      `json:"last_used_at,omitzero"`
	Status     string         `json:"status" enum:"active,disabled"`
	Public     map[string]any `json:"public,omitempty" doc:"Properties that the strategy defines."`
}

type factorList struct {
	Factors []*factorView `json:"factors" nullable:"false" doc:"The factors of the subject, oldest first."`
}

type renameRequest struct {
	Label string `json:"label" doc:"The name of the factor, for people."`
}

func newChallengeView(v watchword.View) challengeView {
	out := challengeView{ID: v.ID, Verification: v.Verification, Status: string(v.Status), Strategy: v.Strategy, Channel: v.Channel, Purpose: v.Purpose,
		Subject: v.Subject, SentTo: v.SentTo, Ask: string(v.Ask), CreatedAt: v.CreatedAt.UTC(), ExpiresAt: v.ExpiresAt.UTC(),
		AttemptsRemaining: v.TriesLeft}
	if v.Sends {
		out.SendsRemaining, out.ResendAt = &v.SendsLeft, v.ResendAt.UTC()
		out.Delivery = &deliveryView{Status: v.Delivery.Status, Provider: v.Delivery.Provider}
	}
	return out
}

func newFactorView(f *watchword.Factor) *factorView {
	status := "active"
	if f.Disabled {
		status = "disabled"
	}
	return &factorView{ID: f.ID, Strategy: f.Strategy, Subject: f.Subject, Label: f.Label, CreatedAt: f.CreatedAt.UTC(),
		LastUsedAt: f.LastUsedAt.UTC(), Status: status, Public: f.Public}
}
