package receipt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
)

// jwksPath is where a watchword server publishes its keys.
const jwksPath = "/.well-known/jwks.json"

// A VerifierConfig says whose receipts a Verifier accepts and where their keys are found.
type VerifierConfig struct {
	// Issuer is the server's public URL, which receipts name as iss. Required.
	Issuer string
	// JWKSURL is where the issuer publishes its keys; empty: Issuer + "/.well-known/jwks.json". It must be https; plain
	// http is for loopback only, since who can change the keys on their way can sign anything.
	JWKSURL string
	// JWKS is the key set itself, for those who have it at hand (Signer.JWKS, or a file). Then nothing is fetched, and
	// JWKSURL must be empty.
	JWKS []byte
	// Client fetches the keys; nil: one of its own. Redirects are not followed.
	Client *http.Client
	// Clock tells the time; nil: time.Now.
	Clock func() time.Time
}

// A Verifier checks receipts for an app. It is safe for concurrent use, and one is enough for a program.
//
// Keys are fetched when the first receipt is to be verified, and again when the server's Cache-Control says so (after at
// least a minute, at most an hour) or a receipt names a key that is not among them. However many receipts come, valid or
// not, there is one request at a time and a pause of ten seconds after each. When a request fails, the keys that are
// known serve for another hour.
type Verifier struct {
	issuer string
	keys   keySource
	reader *reader
}

// A keySource has the keys of an issuer.
type keySource interface {
	// current returns keys that are fresh enough.
	current(ctx context.Context) (keySet, error)
	// refreshed returns the keys again after a look at the source, if it may be looked at now. It is called when a receipt
	// names a key that was not among the current ones.
	refreshed(ctx context.Context) (keySet, error)
}

// NewVerifier checks the configuration. It fetches nothing.
func NewVerifier(c VerifierConfig) (*Verifier, error) {
	if c.Issuer == "" {
		return nil, errors.New("receipt: VerifierConfig.Issuer is missing")
	}
	v := &Verifier{issuer: c.Issuer, reader: newReader(c.Clock)}
	if len(c.JWKS) > 0 {
		if c.JWKSURL != "" {
			return nil, errors.New("receipt: VerifierConfig has both JWKS and JWKSURL")
		}
		set, err := parseJWKS(c.JWKS)
		if err != nil {
			return nil, err
		}
		v.keys = fixedKeys{set}
		return v, nil
	}
	address := c.JWKSURL
	if address == "" {
		address = strings.TrimSuffix(c.Issuer, "/") + jwksPath
	}
	if err := checkJWKSURL(address); err != nil {
		return nil, err
	}
	v.keys = newRemoteKeys(address, c.Client, v.reader.now)
	return v, nil
}

func checkJWKSURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return errors.New("receipt: the JWKS URL is not an absolute URL")
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme == "https" || u.Scheme == "http" && loopback {
		return nil
	}
	return fmt.Errorf("receipt: the JWKS URL must be https, or http to loopback: %s", u.Redacted())
}

// Verify returns the claims of a receipt that is genuine, valid now, and says what is expected.
//
// What is not is watchword.ErrReceiptInvalid (compare with errors.Is); its text says why and quotes nothing of the
// receipt. watchword.ErrUnavailable means that the keys could not be had, so nothing is known about the receipt.
// watchword.ErrInvalidRequest means that e lacks something that must be expected.
func (v *Verifier) Verify(ctx context.Context, token string, e Expectation) (watchword.Claims, error) {
	if err := e.check(); err != nil {
		return watchword.Claims{}, err
	}
	keys, err := v.keys.current(ctx)
	if err != nil {
		return watchword.Claims{}, err
	}
	claims, err := v.reader.read(token, keys)
	if errors.Is(err, errUnknownKey) {
		if keys, err = v.keys.refreshed(ctx); err != nil {
			return watchword.Claims{}, err
		}
		claims, err = v.reader.read(token, keys)
	}
	if err == nil {
		err = v.compareClaims(&claims, &e)
	}
	if err != nil {
		return watchword.Claims{}, err
	}
	return claims, nil
}

// fixedKeys never change.
type fixedKeys struct{ set keySet }

func (f fixedKeys) current(context.Context) (keySet, error) { return f.set, nil }

func (f fixedKeys) refreshed(context.Context) (keySet, error) { return f.set, nil }
