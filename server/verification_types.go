package server

import (
	"encoding/json"
	"maps"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/watchword-auth/watchword"
)

// The requests and responses of verifications. As in types.go, fields without omitzero are required and always present.

type verificationRequest struct {
	Purpose        string            `json:"purpose" pattern:"^[a-z0-9_]{1,40}$" doc:"Why the subject is asked. An answer never serves another purpose."`
	Subject        string            `json:"subject,omitzero" doc:"The app's own id of the person."`
	Methods        []methodRequest   `json:"methods" minItems:"1" maxItems:"10" nullable:"false" doc:"The methods that may answer, in the order of preference."`
	Open           string            `json:"open,omitzero" enum:"auto,first,none" doc:"The method that is opened at the start. auto, the default: the first one offered, if it sends nothing or is the only one."`
	Fallback       *fallbackRequest  `json:"fallback,omitzero" doc:"Turns on the automatic fallback to the method that is marked with fallback."`
	Require        string            `json:"require,omitzero" enum:"any,mfa,phishing_resistant" doc:"What a right answer must prove. The default is any. mfa: two kinds of factors in one answer."`
	DeviceToken    string            `json:"device_token,omitzero" doc:"The token of a trusted device, from the app's cookie. An invalid one changes nothing."`
	RememberDevice bool              `json:"remember_device,omitzero" doc:"Return a device_token when the verification is approved, if the app has trusted devices."`
	Transaction    map[string]string `json:"transaction,omitzero" doc:"The details to approve. The message and the receipt show every entry."`
	Client         clientInfo        `json:"client,omitzero" doc:"The person's device, which limits use."`
	Locale         string            `json:"locale,omitzero" doc:"The person's language, a BCP 47 tag such as pt-BR."`
	ReturnURL      string            `json:"return_url,omitzero" doc:"The URL to which the hosted page returns; its origin must be configured for the app."`
	Nonce          string            `json:"nonce,omitzero" doc:"A value of the app, copied to the receipt."`
	Metadata       map[string]string `json:"metadata,omitzero" doc:"Values of the app, copied to events."`
	Decoy          bool              `json:"decoy,omitzero" doc:"Starts a verification that looks like any other, sends nothing and is never approved."`
}

type methodRequest struct {
	Strategy string `json:"strategy" doc:"The way to verify, for example webauthn."`
	Channel  string `json:"channel,omitzero" doc:"The channel of the message, for example sms."`
	To       string `json:"to,omitzero" doc:"The phone number or e-mail address that the message is sent to."`
	Factor   string `json:"factor,omitzero" doc:"The id of the only factor that may answer."`
	Fallback bool   `json:"fallback,omitzero" doc:"The server may open this method by itself if the message of another one does not arrive. One method at most."`
}

type fallbackRequest struct {
	After int `json:"after" minimum:"10" maximum:"600" doc:"Seconds without an answer and without a delivery report, after which the message counts as not arrived. A failed message does so at once."`
}

func (f *fallbackRequest) wait() time.Duration {
	if f == nil {
		return 0
	}
	return time.Duration(f.After) * time.Second
}

func (in *verificationRequest) listMethods() []watchword.MethodRequest {
	out := make([]watchword.MethodRequest, len(in.Methods))
	for n, m := range in.Methods {
		out[n] = watchword.MethodRequest(m)
	}
	return out
}

type openRequest struct {
	Method string `json:"method" doc:"The id of one of the methods."`
}

type verificationCheckRequest struct {
	Purpose     string            `json:"purpose" doc:"The value of the start."`
	Subject     string            `json:"subject,omitzero" doc:"The value of the start. Exactly one of subject and to is required, except for a discoverable passkey."`
	To          string            `json:"to,omitzero" doc:"The value of the start, if it has no subject."`
	Answer      answerField       `json:"answer"`
	Method      string            `json:"method,omitzero" doc:"The id of the method that is answered. Required once several are open."`
	Transaction map[string]string `json:"transaction,omitzero" doc:"The value of the start, to compare it."`
	Client      clientInfo        `json:"client,omitzero" doc:"The person's device, which limits use."`
}

type verificationResendRequest struct {
	Method string `json:"method,omitzero" doc:"The id of the method. The default is the one that was opened last."`
}

// verificationView is a verification without its secrets.
type verificationView struct {
	ID        string        `json:"id"`
	Status    string        `json:"status" enum:"pending,approved,expired,canceled,locked" doc:"Informative. Only a receipt proves that the verification was approved."`
	Purpose   string        `json:"purpose"`
	Subject   string        `json:"subject,omitzero"`
	Methods   []methodView  `json:"methods" nullable:"false" doc:"The methods that are offered, in the order of preference."`
	Method    string        `json:"method,omitzero" doc:"The id of the method that was opened last."`
	Fallback  *fallbackView `json:"fallback,omitzero" doc:"Present once the server has opened a method by itself."`
	CreatedAt time.Time     `json:"created_at"`
	ExpiresAt time.Time     `json:"expires_at"`
}

type methodView struct {
	ID       string `json:"id" doc:"Unique in the verification, for example m1."`
	Strategy string `json:"strategy"`
	Channel  string `json:"channel,omitzero"`
	SentTo   string `json:"sent_to,omitzero" doc:"The address, masked."`
	Factor   string `json:"factor,omitzero" doc:"The id of the only factor that may answer."`
	Ask      string `json:"ask" enum:"code,link,key" doc:"What the person is asked to do."`
	Status   string `json:"status,omitzero" enum:"pending,approved,expired,canceled,locked" doc:"That of the method's challenge. Absent if the method was not opened."`
}

type fallbackView struct {
	Method string `json:"method" doc:"The id of the method that the server has opened."`
	From   string `json:"from" doc:"The id of the method whose message did not arrive."`
}

// verificationStatusView is a verification as it is read.
type verificationStatusView struct {
	verificationView
	Challenge *challengeView `json:"challenge,omitzero" doc:"The challenge of method, while the verification is pending."`
}

// openedView is a verification with the challenge of the method that was opened.
type openedView struct {
	verificationView
	Challenge *openChallengeView `json:"challenge,omitzero" doc:"The challenge of method."`
}

// openChallengeView is the challenge of a method with what its ask needs.
type openChallengeView struct {
	challengeView
	Public json.RawMessage `json:"public" doc:"The data that the ask needs."`
}

// startedVerificationView is the response to a start. Only it has the secrets of the verification. If a trusted device has answered
// the start, it has the result instead.
type startedVerificationView struct {
	verificationView
	Challenge *openChallengeView `json:"challenge,omitzero" doc:"The challenge of method, if one was opened."`
	Handle    string             `json:"handle,omitzero" doc:"The secret with which the app collects the receipt."`
	PageURL   string             `json:"page_url,omitzero" format:"uri" doc:"The URL of the hosted page, with its ticket in the fragment. Absent without return_url."`
	Ticket    string             `json:"ticket,omitzero" doc:"The ticket of the hosted page, for the element watchword-verification on a page of the app."`

	Receipt     string            `json:"receipt,omitzero" doc:"A JWT with the same claims."`
	Claims      *watchword.Claims `json:"claims,omitzero"`
	DeviceToken string            `json:"device_token,omitzero" doc:"Replaces the device_token of the request, if that was valid."`
}

// verifiedView is the response to a right answer.
type verifiedView struct {
	Status  string            `json:"status" enum:"approved"`
	Receipt string            `json:"receipt" doc:"A JWT with the same claims."`
	Claims  *watchword.Claims `json:"claims"`
	Method  string            `json:"method,omitzero" doc:"The id of the method that was answered."`

	DeviceToken string `json:"device_token,omitzero" doc:"The token of the device that is trusted from now on, for a cookie of the app. Present if the verification asked for it and the app allows it."`
}

// TransformSchema adds the fields of the verification.
func (verificationStatusView) TransformSchema(r huma.Registry, s *huma.Schema) *huma.Schema {
	addEmbeddedFields[verificationView](r, s)
	return s
}

// TransformSchema adds the fields of the verification.
func (openedView) TransformSchema(r huma.Registry, s *huma.Schema) *huma.Schema {
	addEmbeddedFields[verificationView](r, s)
	return s
}

// TransformSchema adds the fields of the verification, and returns one schema for each status.
func (startedVerificationView) TransformSchema(r huma.Registry, s *huma.Schema) *huma.Schema {
	addEmbeddedFields[verificationView](r, s)
	result := []string{"receipt", "claims"}
	return newUnion(r, "status", s, []variant{
		{value: string(watchword.Pending), name: "PendingVerification", required: []string{"handle"}, without: result},
		{value: string(watchword.Approved), name: "ApprovedVerification", required: append(result, "device_token"), without: []string{"challenge", "handle", "page_url", "ticket", "method", "fallback"}},
	})
}

// TransformSchema adds the fields of the challenge, and returns one schema for each ask of a method.
func (openChallengeView) TransformSchema(r huma.Registry, s *huma.Schema) *huma.Schema {
	addEmbeddedFields[challengeView](r, s)
	return newUnion(r, "ask", s, listAskVariants(r, "Open", listMethodAskSchemas()))
}

// addEmbeddedFields adds the fields of an embedded type, which huma omits because the type is not exported.
func addEmbeddedFields[T any](r huma.Registry, s *huma.Schema) {
	embedded := r.Schema(reflect.TypeFor[T](), false, "")
	maps.Copy(s.Properties, embedded.Properties)
	s.Required = append(s.Required, embedded.Required...)
}

func newVerificationView(v watchword.VerificationView) verificationView {
	out := verificationView{ID: v.ID, Status: string(v.Status), Purpose: v.Purpose, Subject: v.Subject, Methods: make([]methodView, len(v.Methods)),
		Method: v.Method, CreatedAt: v.CreatedAt.UTC(), ExpiresAt: v.ExpiresAt.UTC()}
	for n, m := range v.Methods {
		out.Methods[n] = methodView{ID: m.ID, Strategy: m.Strategy, Channel: m.Channel, SentTo: m.SentTo, Factor: m.Factor, Ask: string(m.Ask), Status: string(m.Status)}
	}
	if v.Fallback.Method != "" {
		out.Fallback = &fallbackView{Method: v.Fallback.Method, From: v.Fallback.From}
	}
	return out
}

func newVerificationStatusView(v watchword.VerificationView) *verificationStatusView {
	out := &verificationStatusView{verificationView: newVerificationView(v)}
	if v.Challenge != nil {
		challenge := newChallengeView(v.Challenge.View)
		out.Challenge = &challenge
	}
	return out
}

// newOpenChallengeView returns nil if no challenge is open.
func newOpenChallengeView(c *watchword.MethodChallenge) (*openChallengeView, error) {
	if c == nil {
		return nil, nil
	}
	public, err := encodePublic(c.Public)
	return &openChallengeView{challengeView: newChallengeView(c.View), Public: public}, err
}

// encodePublic returns public as JSON, an empty object if there is none.
func encodePublic(public map[string]any) (json.RawMessage, error) {
	if len(public) == 0 {
		return json.RawMessage("{}"), nil
	}
	return json.Marshal(public)
}
