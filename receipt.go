package watchword

// Claims are what a receipt states. In JSON they are the receipt's payload; times are seconds since 1970
// (NumericDate, RFC 7519 §2).
type Claims struct {
	Issuer      string            `json:"iss"`
	Audience    string            `json:"aud"` // the app
	Subject     string            `json:"sub,omitempty"`
	ID          string            `json:"jti"` // the challenge
	IssuedAt    int64             `json:"iat"`
	ExpiresAt   int64             `json:"exp"`
	AuthTime    int64             `json:"auth_time"` // when the right answer came in
	Purpose     string            `json:"purpose"`
	Strategy    string            `json:"strategy"`
	Channel     string            `json:"channel,omitempty"`
	AMR         []string          `json:"amr,omitempty"` // RFC 8176
	SentTo      string            `json:"sent_to,omitempty"`
	AddressHash string            `json:"address_hash,omitempty"` // Engine.AddressHash of the canonical address
	Factor      string            `json:"factor,omitempty"`
	Nonce       string            `json:"nonce,omitempty"`
	Transaction map[string]string `json:"transaction,omitempty"`
	Extra       map[string]any    `json:"extra,omitempty"` // what a strategy adds

	extra []byte // Extra as JSON, where it is there already
}
