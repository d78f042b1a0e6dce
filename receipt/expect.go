package receipt

import (
	"crypto/subtle"
	"maps"
	"time"

	"github.com/watchword-auth/watchword"
)

// Expectation is what a receipt has to say. The app knows all of it from its own session, never from the request that brings
// the receipt. Purpose, Audience and who (Subject, AddressHash or both) are required.
type Expectation struct {
	Purpose  string // what the app asked for: a receipt for signing in changes no password
	Audience string // the app's own id

	// Subject is whom the app asked. Without it, AddressHash must say whose address was proven.
	Subject string
	// AddressHash is the keyed hash of the address that the app asked for; empty: any address of the subject.
	AddressHash string
	// AnySubject accepts whoever it was. For passkeys that say themselves whose they are, and where the app then goes by
	// the claims' Subject. Subject and AddressHash must be empty.
	AnySubject bool

	// Nonce is what the challenge was started with; empty: it was started without.
	Nonce string
	// Transaction is what the challenge was started with, to the letter; empty: it was started without.
	Transaction map[string]string

	// MaxAge is how long ago the right answer may have come in (auth_time), however fresh the receipt is; 0: as long as
	// the receipt is valid.
	MaxAge time.Duration
}

// check tells the developer, at the first call, what was forgotten.
func (e *Expectation) check() error {
	var missing []watchword.FieldError
	if e.Purpose == "" {
		missing = append(missing, watchword.FieldError{Field: "purpose", Reason: "is required"})
	}
	if e.Audience == "" {
		missing = append(missing, watchword.FieldError{Field: "audience", Reason: "is required"})
	}
	if who := e.Subject != "" || e.AddressHash != ""; who == e.AnySubject {
		missing = append(missing, watchword.FieldError{Field: "subject", Reason: "say who: Subject, AddressHash or both, or AnySubject"})
	}
	if len(missing) > 0 {
		return &watchword.Error{Code: watchword.ErrInvalidRequest.Code, Fields: missing}
	}
	return nil
}

// compareClaims holds genuine claims against what is expected.
func (v *Verifier) compareClaims(c *watchword.Claims, e *Expectation) error {
	switch {
	case c.Issuer != v.issuer:
		return invalidReceipt("another issuer")
	case c.Audience != e.Audience:
		return invalidReceipt("for another audience")
	case c.Purpose != e.Purpose:
		return invalidReceipt("for another purpose")
	case e.Subject != "" && c.Subject != e.Subject:
		return invalidReceipt("another subject")
	case e.Subject == "" && !e.AnySubject && c.Subject != "":
		return invalidReceipt("about a subject, and none is expected")
	case e.AnySubject && c.Subject == "":
		return invalidReceipt("about no subject")
	case e.AddressHash != "" && !equalConstantTime(c.AddressHash, e.AddressHash):
		return invalidReceipt("another address")
	case !equalConstantTime(c.Nonce, e.Nonce):
		return invalidReceipt("another nonce")
	case !maps.Equal(c.Transaction, e.Transaction):
		return invalidReceipt("about another transaction")
	case e.MaxAge > 0 && v.reader.now().Sub(time.Unix(c.AuthTime, 0)) > e.MaxAge:
		return invalidReceipt("answered too long ago")
	}
	return nil
}

// equalConstantTime compares in a time that does not tell where two texts of one length differ.
func equalConstantTime(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
