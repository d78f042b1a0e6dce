package server

import (
	"encoding/json"
	"maps"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/watchword-auth/watchword"
)

// The requests and answers of the API, in the words of its contract. Fields without omitzero are required in requests
// and always there in answers.

type startRequest struct {
	Strategy      string            `json:"strategy" doc:"How to prove, otp say."`
	Purpose       string            `json:"purpose" pattern:"^[a-z0-9_]{1,40}$" doc:"What for; an answer never serves another purpose."`
	Channel       string            `json:"channel,omitzero" doc:"By which a message travels."`
	To            string            `json:"to,omitzero" doc:"The address that a message goes to."`
	Subject       string            `json:"subject,omitzero" doc:"The app's own id of who is asked."`
	Locale        string            `json:"locale,omitzero" doc:"The reader's, a BCP 47 tag as in pt-BR: messages and pages are in the language that serves it best, else English."`
	Transaction   map[string]string `json:"transaction,omitzero" doc:"What is approved: every row is in the message and in the receipt. One that the message cannot show as it is is refused."`
	Client        clientInfo        `json:"client,omitzero" doc:"Whom the app is serving; limits use it."`
	ReturnURL     string            `json:"return_url,omitzero" doc:"Where pages lead back to; one that the app is known for."`
	Nonce         string            `json:"nonce,omitzero" doc:"The app's own, copied into the receipt."`
	Metadata      map[string]string `json:"metadata,omitzero" doc:"The app's own, copied into events."`
	Label         string            `json:"label,omitzero" doc:"The name of what is enrolled, for people."`
	Factor        string            `json:"factor,omitzero" doc:"The id of the one factor that may answer."`
	Decoy         bool              `json:"decoy,omitzero" doc:"Looks like any other challenge, sends nothing and is never approved."`
	Authorization string            `json:"authorization,omitzero" doc:"A receipt of purpose manage_factors, for enrolling where a factor is active."`
}

// clientInfo is a person's device, as the app sees it. Generators call what they make of the document Client, so the schema
// is not called that.
type clientInfo struct {
	IP        string `json:"ip,omitzero" doc:"An IPv4 or IPv6 address."`
	UserAgent string `json:"user_agent,omitzero"`
	Known     bool   `json:"known,omitzero" doc:"The app recognises this device."`
}

func (c clientInfo) engine() watchword.Client { return watchword.Client(c) }

type checkRequest struct {
	Purpose     string            `json:"purpose" doc:"That of the start."`
	Subject     string            `json:"subject,omitzero" doc:"That of the start. Exactly one of subject and to, but for a discoverable passkey."`
	To          string            `json:"to,omitzero" doc:"That of the start, where it has no subject."`
	Answer      answerField       `json:"answer"`
	Transaction map[string]string `json:"transaction,omitzero" doc:"That of the start, if it shall be compared."`
	Client      clientInfo        `json:"client,omitzero" doc:"Whom the app is serving; limits use it."`
}

// answerField is what the subject gave back: a string, or the JSON object of a credential.
type answerField struct{ watchword.Answer }

// UnmarshalJSONFrom keeps an object as it was written; its own strategy reads it.
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
	return reason("must be a string or an object")
}

// Schema describes it; Go's types cannot.
func (answerField) Schema(r huma.Registry) *huma.Schema {
	const credential = "Credential"
	r.Map()[credential] = &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true,
		Description: "RegistrationResponseJSON or AuthenticationResponseJSON (WebAuthn Level 3 §5.1), base64url with or without padding."}
	return &huma.Schema{Description: "What the subject gave back: a code or a link's token, or a credential.",
		OneOf: []*huma.Schema{{Type: huma.TypeString}, {Ref: schemasPath + credential}}}
}

type redeemRequest struct {
	Handle  string `json:"handle" doc:"The secret of whoever started the challenge."`
	Purpose string `json:"purpose" doc:"That of the start."`
	Subject string `json:"subject,omitzero" doc:"That of the start."`
	To      string `json:"to,omitzero" doc:"That of the start, where it has no subject."`
}

type resendRequest struct {
	Channel string `json:"channel,omitzero" doc:"Another channel that reaches the same address."`
}

type cancelRequest struct{}

type redeemReceiptRequest struct {
	Receipt string `json:"receipt"`
	Purpose string `json:"purpose" doc:"What the receipt has to be for."`
}

// challengeView is a challenge, without anything secret. What concerns messages is absent where none is sent.
type challengeView struct {
	ID                string        `json:"id"`
	Status            string        `json:"status" enum:"pending,approved,expired,canceled,locked" doc:"A hint: only a receipt proves."`
	Strategy          string        `json:"strategy"`
	Channel           string        `json:"channel,omitzero"`
	Purpose           string        `json:"purpose"`
	Subject           string        `json:"subject,omitzero"`
	SentTo            string        `json:"sent_to,omitzero" doc:"The address, masked."`
	Ask               string        `json:"ask" enum:"code,link,key,new_key,scan" doc:"What the person has to do."`
	CreatedAt         time.Time     `json:"created_at"`
	ExpiresAt         time.Time     `json:"expires_at"`
	AttemptsRemaining int           `json:"attempts_remaining" minimum:"0"`
	SendsRemaining    *int          `json:"sends_remaining,omitzero" minimum:"0"`
	ResendAt          time.Time     `json:"resend_at,omitzero" doc:"No resend before."`
	Delivery          *deliveryView `json:"delivery,omitzero"`
}

type deliveryView struct {
	Status   string `json:"status" enum:"queued,sent,delivered,failed"`
	Provider string `json:"provider,omitzero"`
}

// startedView is a challenge as its starter sees it, this once.
type startedView struct {
	challengeView
	Handle  string          `json:"handle" doc:"With which the starter alone collects the receipt."`
	Public  json.RawMessage `json:"public" doc:"What the ask needs."`
	PageURL string          `json:"page_url" format:"uri" doc:"The hosted page, with its ticket in the fragment."`
}

// TransformSchema adds the fields of the challenge, which huma does not see because they are embedded by a name of the
// package's own.
func (startedView) TransformSchema(r huma.Registry, s *huma.Schema) *huma.Schema {
	challenge := r.Schema(reflect.TypeFor[challengeView](), false, "")
	maps.Copy(s.Properties, challenge.Properties)
	s.Required = append(s.Required, challenge.Required...)
	return s
}

// approvedView is the answer to a right one.
type approvedView struct {
	Status  string            `json:"status" enum:"approved"`
	Receipt string            `json:"receipt" doc:"A JWT that states what is in claims."`
	Claims  *watchword.Claims `json:"claims"`
	Factor  *factorView       `json:"factor,omitzero" doc:"What was enrolled, if that was the purpose."`
}

// factorView is what a subject has enrolled, without anything secret.
type factorView struct {
	ID         string         `json:"id"`
	Strategy   string         `json:"strategy"`
	Subject    string         `json:"subject"`
	Label      string         `json:"label,omitzero"`
	CreatedAt  time.Time      `json:"created_at"`
	LastUsedAt time.Time      `json:"last_used_at,omitzero"`
	Status     string         `json:"status" enum:"active,disabled"`
	Public     map[string]any `json:"public,omitempty" doc:"What the strategy says of it."`
}

type factorList struct {
	Factors []*factorView `json:"factors" nullable:"false" doc:"The oldest first."`
}

type renameRequest struct {
	Label string `json:"label" doc:"The name of the factor, for people."`
}

func viewChallenge(v watchword.View) challengeView {
	out := challengeView{ID: v.ID, Status: string(v.Status), Strategy: v.Strategy, Channel: v.Channel, Purpose: v.Purpose,
		Subject: v.Subject, SentTo: v.SentTo, Ask: string(v.Ask), CreatedAt: v.CreatedAt.UTC(), ExpiresAt: v.ExpiresAt.UTC(),
		AttemptsRemaining: v.TriesLeft}
	if v.Sends {
		out.SendsRemaining, out.ResendAt = &v.SendsLeft, v.ResendAt.UTC()
		out.Delivery = &deliveryView{Status: v.Delivery.Status, Provider: v.Delivery.Provider}
	}
	return out
}

func viewFactor(f *watchword.Factor) *factorView {
	status := "active"
	if f.Disabled {
		status = "disabled"
	}
	return &factorView{ID: f.ID, Strategy: f.Strategy, Subject: f.Subject, Label: f.Label, CreatedAt: f.CreatedAt.UTC(),
		LastUsedAt: f.LastUsedAt.UTC(), Status: status, Public: f.Public}
}
