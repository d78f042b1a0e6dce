package server

import (
	"reflect"

	"github.com/watchword-auth/watchword"
)

// describedClaims returns what the OpenAPI document says about each claim of a receipt. The engine's type has no tags for documents.
func describedClaims() map[string]string {
	return map[string]string{
		"iss":          "The public URL of the server.",
		"aud":          "The id of the app.",
		"sub":          "The subject of the start; for a discoverable passkey that of the key. Absent if none was given.",
		"jti":          "The id of the challenge.",
		"verification": "The id of the verification that the challenge is part of.",
		"iat":          "When the receipt was signed, in seconds since 1970.",
		"exp":          "When it expires, in seconds since 1970: at most ten minutes after iat.",
		"auth_time":    "When the right answer arrived, in seconds since 1970.",
		"purpose":      "The purpose of the start.",
		"strategy":     "How the person was verified.",
		"channel":      "By which the code or link that was answered was sent.",
		"amr":          "Authentication methods (RFC 8176). Absent if it has no value for the method.",
		"acr":          "phr if the method resists phishing. Absent otherwise.",
		"sent_to":      "The address, masked.",
		"address_hash": "HMAC of the address under the key that the app is given, in base64url, for comparing with its own record.",
		"factor":       "The id of the factor that answered.",
		"nonce":        "The nonce of the start.",
		"transaction":  "The transaction of the start.",
		"extra":        "What the strategy adds.",
	}
}

// describeClaims adds the descriptions to the schema of the claims.
func (d *documentBuilder) describeClaims() {
	claims := d.schemas.Map()[schemaName(reflect.TypeFor[watchword.Claims](), "")]
	for name, text := range describedClaims() {
		claims.Properties[name].Description = text
	}
}
