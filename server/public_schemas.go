package server

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/watchword-auth/watchword"
)

// The schemas of public, one for each ask. The server does not read public: strategies write it, and these types only describe
// it in the OpenAPI document. All of them allow additional members.

// publicCode is public of the ask code.
type publicCode struct {
	Length   int      `json:"length,omitzero" minimum:"1" doc:"The number of characters of the code. It is missing if codes of several lengths are accepted."`
	Alphabet string   `json:"alphabet,omitzero" doc:"The characters of a code. Other spellings of them are accepted too."`
	Letters  bool     `json:"letters,omitzero" doc:"The code may have letters, so show no keyboard of digits."`
	Codes    []string `json:"codes,omitzero" doc:"The new recovery codes, if the purpose is enrol. They are shown this once."`
}

// publicLink is public of the ask link.
type publicLink struct {
	Length   int    `json:"length,omitzero" minimum:"1" doc:"The number of characters of the code. It is missing if codes of several lengths are accepted."`
	Alphabet string `json:"alphabet,omitzero" doc:"The characters of a code. Other spellings of them are accepted too."`
	Code     bool   `json:"code" doc:"The message has a code beside the link."`
	Number   string `json:"number,omitzero" doc:"The number to show on your page. The link's page asks for it."`
}

// publicScan is public of the ask scan.
type publicScan struct {
	Length   int    `json:"length,omitzero" minimum:"1" doc:"The number of characters of the code. It is missing if codes of several lengths are accepted."`
	Alphabet string `json:"alphabet,omitzero" doc:"The characters of a code. Other spellings of them are accepted too."`
	Secret   string `json:"secret" doc:"The secret in base32, for people who type it."`
	URI      string `json:"uri" format:"uri" doc:"The otpauth URI, for a link on the device of the authenticator app."`
	QR       string `json:"qr" format:"uri" doc:"A picture of the URI: a data URI of a PNG."`
}

// requestOptions is public of the ask key: PublicKeyCredentialRequestOptionsJSON (WebAuthn Level 3 §5.1.10).
type requestOptions struct {
	Challenge        string                 `json:"challenge" doc:"base64url."`
	Timeout          int                    `json:"timeout,omitzero" minimum:"0" doc:"Milliseconds."`
	RPID             string                 `json:"rpId,omitzero"`
	AllowCredentials []credentialDescriptor `json:"allowCredentials,omitzero"`
	UserVerification string                 `json:"userVerification,omitzero" enum:"required,preferred,discouraged"`
	Hints            []string               `json:"hints,omitzero"`
	Extensions       credentialExtensions   `json:"extensions,omitzero"`
}

// creationOptions is public of the ask new_key: PublicKeyCredentialCreationOptionsJSON (WebAuthn Level 3 §5.1.8).
type creationOptions struct {
	RP                     relyingParty           `json:"rp"`
	User                   credentialUser         `json:"user"`
	Challenge              string                 `json:"challenge" doc:"base64url."`
	PubKeyCredParams       []credentialParameter  `json:"pubKeyCredParams"`
	Timeout                int                    `json:"timeout,omitzero" minimum:"0" doc:"Milliseconds."`
	ExcludeCredentials     []credentialDescriptor `json:"excludeCredentials,omitzero"`
	AuthenticatorSelection authenticatorSelection `json:"authenticatorSelection,omitzero"`
	Hints                  []string               `json:"hints,omitzero"`
	Attestation            string                 `json:"attestation,omitzero" doc:"none, indirect, direct or enterprise."`
	Extensions             credentialExtensions   `json:"extensions,omitzero"`
}

type relyingParty struct {
	ID   string `json:"id,omitzero"`
	Name string `json:"name"`
}

type credentialUser struct {
	ID          string `json:"id" doc:"base64url."`
	Name        string `json:"name"`
	DisplayName string `json:"displayName"`
}

type credentialParameter struct {
	Type string `json:"type" enum:"public-key"`
	Alg  int    `json:"alg" doc:"A COSE algorithm (RFC 9053)."`
}

type credentialDescriptor struct {
	Type       string   `json:"type" enum:"public-key"`
	ID         string   `json:"id" doc:"base64url."`
	Transports []string `json:"transports,omitzero"`
}

type authenticatorSelection struct {
	AuthenticatorAttachment string `json:"authenticatorAttachment,omitzero" enum:"platform,cross-platform"`
	ResidentKey             string `json:"residentKey,omitzero" enum:"required,preferred,discouraged"`
	RequireResidentKey      bool   `json:"requireResidentKey,omitzero"`
	UserVerification        string `json:"userVerification,omitzero" enum:"required,preferred,discouraged"`
}

// credentialExtensions names an extension that TypeScript's own type of the inputs has, so that the options are assignable to it.
type credentialExtensions struct {
	CredProps bool `json:"credProps,omitzero"`
	UVM       bool `json:"uvm,omitzero"`
}

// An askSchema is the schema of public for one ask. Its name is part of the names of the schemas that have public.
type askSchema struct {
	ask    watchword.Ask
	name   string
	public reflect.Type
}

// listAskSchemas returns the schemas of all asks.
func listAskSchemas() []askSchema {
	return append(listMethodAskSchemas(),
		askSchema{watchword.AskNewKey, "NewKey", reflect.TypeFor[creationOptions]()},
		askSchema{watchword.AskScan, "Scan", reflect.TypeFor[publicScan]()})
}

// listMethodAskSchemas returns those of the asks of verifications, which enrol nothing.
func listMethodAskSchemas() []askSchema {
	return []askSchema{
		{watchword.AskCode, "Code", reflect.TypeFor[publicCode]()},
		{watchword.AskLink, "Link", reflect.TypeFor[publicLink]()},
		{watchword.AskKey, "Key", reflect.TypeFor[requestOptions]()},
	}
}

// listAskVariants returns the variants of an object by ask. Their names are the prefix with the names of the asks.
func listAskVariants(r huma.Registry, prefix string, asks []askSchema) (out []variant) {
	for _, a := range asks {
		out = append(out, variant{value: string(a.ask), name: prefix + a.name, properties: map[string]*huma.Schema{"public": r.Schema(a.public, true, "")}})
	}
	return out
}
