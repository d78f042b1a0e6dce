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

// jwksPath is the path at which a watchword server publishes its keys.
const jwksPath = "/.well-known/jwks.json"

// A VerifierConfig configures a Verifier.
type VerifierConfig struct {
	// Issuer is the server's public URL, which receipts name as iss. Required.
	Issuer string
	// JWKSURL is the URL of the issuer's keys. The default is Issuer + "/.well-known/jwks.json". It must be https, or http to a
	// loopback address: an attacker who can modify the response can forge receipts.
	JWKSURL string
	// JWKS is the key set (Signer.JWKS, or a file). If it is set, nothing is fetched and JWKSURL must be empty.
	JWKS []byte
	// Client fetches the keys. The default is a client without settings. Redirects are not followed.
	Client *http.Client
	// Clock returns the current time. The default is time.Now.
	Clock func() time.Time
}

// A Verifier verifies receipts for an app. It is safe for concurrent use; a program needs only one.
//
// It fetches the keys when it verifies the first receipt, and again when they expire by the server's Cache-Control (after at
// least a minute and at most an hour) or when a receipt names an unknown key. It sends one request at a time, with a pause
// of ten seconds after each. If a request fails, the known keys are used for another hour.
type Verifier struct {
	issuer string
	keys   keySource
	reader *reader
}

// A keySource provides the keys of an issuer.
type keySource interface {
	// current returns the cached keys, or fetches them if they have expired.
	current(ctx context.Context) (keySet, error)
	// refreshed fetches the keys, unless the pause after the last fetch is not over, and returns them. It is called when a
	// receipt names an unknown key.
	refreshed(ctx context.Context) (keySet, error)
}

// NewVerifier returns a Verifier, or an error if the configuration is invalid. It fetches nothing.
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

// Verify returns the claims of a receipt if the signature is right, the receipt is valid now, and the claims match e.
//
// If not, the error is watchword.ErrReceiptInvalid (use errors.Is); its text names the reason and quotes nothing of the
// receipt. watchword.ErrUnavailable means that the keys could not be fetched. watchword.ErrInvalidRequest means that e is
// incomplete.
func (v *Verifier) Verify(ctx context.Context, token string, e Expect) (watchword.Claims, error) {
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

// fixedKeys is the keySource of a configured JWKS.
type fixedKeys struct{ set keySet }

func (f fixedKeys) current(context.Context) (keySet, error) { return f.set, nil }

func (f fixedKeys) refreshed(context.Context) (keySet, error) { return f.set, nil }
