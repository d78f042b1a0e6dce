package receipt

import (
	"crypto/subtle"
	"maps"
	"time"

	"github.com/watchword-auth/watchword"
)

// An Expect holds the claims that an app expects in a receipt. Take the values from the app's own session, never from the
// request that contains the receipt. Purpose and Audience are required, and so is Subject, AddressHash or AnySubject.
type Expect struct {
	Purpose  string // of the challenge
	Audience string // the app's id

	// Subject is the subject of the challenge. If it is empty, AddressHash is required.
	Subject string
	// AddressHash is the keyed hash of the challenge's address. Empty: any address of the subject.
	AddressHash string
	// AnySubject accepts every subject. Use it for challenges without a subject, which discoverable credentials answer, and
	// take the subject from the claims. Subject and AddressHash must be empty.
	AnySubject bool

	// Nonce is the nonce of the challenge. Empty: the challenge has none.
	Nonce string
	// Transaction is the transaction of the challenge, with exactly these entries. Empty: the challenge has none.
	Transaction map[string]string

	// ACR is the assurance that the receipt must have, such as watchword.ACRPhishingResistant. Empty: any, and none.
	ACR string

	// MaxAge is the maximum time since the right answer (auth_time). 0: any time while the receipt is valid.
	MaxAge time.Duration
}

// check returns a watchword.ErrInvalidRequest that names the missing fields.
func (e *Expect) check() error {
	var missing []watchword.FieldError
	if e.Purpose == "" {
		missing = append(missing, watchword.FieldError{Field: "purpose", Reason: "is required"})
	}
	if e.Audience == "" {
		missing = append(missing, watchword.FieldError{Field: "audience", Reason: "is required"})
	}
	if who := e.Subject != "" || e.AddressHash != ""; who == e.AnySubject {
		missing = append(missing, watchword.FieldError{Field: "subject", Reason: "set Subject, AddressHash or both, or AnySubject"})
	}
	if len(missing) > 0 {
		return &watchword.Error{Code: watchword.ErrInvalidRequest.Code, Fields: missing}
	}
	return nil
}

// compareClaims compares verified claims with the expectation.
func (v *Verifier) compareClaims(c *watchword.Claims, e *Expect) error {
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
	case e.ACR != "" && c.ACR != e.ACR:
		return invalidReceipt("of another assurance")
	case e.MaxAge > 0 && v.reader.now().Sub(time.Unix(c.AuthTime, 0)) > e.MaxAge:
		return invalidReceipt("answered too long ago")
	}
	return nil
}

// equalConstantTime compares two texts in a time that depends on their lengths only.
func equalConstantTime(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
