package device

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword"
)

// overlap is how long a token stays valid after its successor was first presented: parallel requests may still carry it.
const overlap = time.Minute

// A device is the data of a factor. Its encoding is JSON.
type device struct {
	Generation uint32    `json:"g"`            // of the newest token that was presented, or of the first one
	Current    []byte    `json:"c"`            // digest of that token
	CurrentKey string    `json:"ck"`           // id of the key that it is derived from
	Previous   []byte    `json:"p,omitempty"`  // digest of the token before; nil: there was none
	Next       []byte    `json:"n,omitempty"`  // digest of the successor; nil: none was issued
	NextKey    string    `json:"nk,omitempty"` // id of the key that the successor is derived from
	Promoted   time.Time `json:"t,omitzero"`   // when Current was first presented
	Browser    string    `json:"b,omitempty"`
	System     string    `json:"s,omitempty"`
}

// parseDevice decodes a factor's data.
func parseDevice(data []byte) (*device, error) {
	var d device
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("device: a factor's data: %w", err)
	}
	return &d, nil
}

// writeTo encodes the device into its factor.
func (d *device) writeTo(f *watchword.Factor) (err error) {
	f.Data, err = json.Marshal(d)
	return err
}

// A standing is what a token is to its device.
type standing int

const (
	unknown  standing = iota // not a token of the device
	current                  // the newest one that was presented
	next                     // its successor, which is presented for the first time
	previous                 // the one before, within the overlap
	replaced                 // an earlier one
)

// standingOf compares a token with the device.
func (d *device) standingOf(c *watchword.Challenge, t parsedToken) standing {
	given := digest(t.secret)
	switch {
	case t.generation == d.Generation && equal(given, d.Current):
		return current
	case t.generation == d.Generation+1 && equal(given, d.Next):
		return next
	case t.generation >= d.Generation:
		return unknown
	case t.generation+1 == d.Generation && equal(given, d.Previous):
		if c.Now().Sub(d.Promoted) < overlap {
			return previous
		}
		return replaced
	case isGenuine(c, t):
		return replaced
	}
	return unknown
}

func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// isGenuine reports whether a token was derived from a key of the keyring, so that it was once issued.
func isGenuine(c *watchword.Challenge, t parsedToken) bool {
	for _, key := range c.KeyIDs() {
		if secret, _, ok := secretOf(c, key, t.factor, t.generation); ok && equal(secret[:], t.secret) {
			return true
		}
	}
	return false
}

// promote makes the successor, which was presented, the current token.
func (d *device) promote(now time.Time) {
	d.Previous, d.Current, d.CurrentKey, d.Next, d.NextKey = d.Current, d.Next, d.NextKey, nil, ""
	d.Generation++
	d.Promoted = now.UTC()
}

// successorOf returns the token that replaces a current or previous one: the same each time. It is derived from the key that it was
// derived from before. If that was removed from the keyring, the current token is not known any more, and a successor that was issued
// is not valid any more.
func (d *device) successorOf(s standing, c *watchword.Challenge, factor string) watchword.Code {
	if s == previous {
		if secret, _, ok := secretOf(c, d.CurrentKey, factor, d.Generation); ok {
			return formatToken(factor, d.Generation, secret)
		}
	}
	generation := d.Generation + 1
	secret, key, ok := secretOf(c, d.NextKey, factor, generation)
	if !ok {
		secret, key, _ = secretOf(c, "", factor, generation)
	}
	d.Next, d.NextKey = digest(secret[:]), key
	return formatToken(factor, generation, secret)
}
