package client

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
)

const (
	defaultTimeout = 15 * time.Second // the server gives up after 10
	defaultRetries = 2
)

// A Config configures a Client.
type Config struct {
	// URL is the server's URL, such as https://verify.example.com, or http://localhost:8080 in development. Required.
	URL string
	// APIKey is an API key of the app; dev in development. Required.
	APIKey watchword.Code
	// HTTPClient sends the requests. The default is a client without settings. Redirects are not followed.
	HTTPClient *http.Client
	// Timeout bounds each try, in addition to the context. The default is 15 seconds.
	Timeout time.Duration
	// Retries is how often a call is repeated after a temporary failure. The default is 2; a negative number means never. While the
	// server still answers an earlier try, the call waits for it, for at most 15 seconds, which counts as no repetition.
	Retries int
}

// A Client calls a server for one app. It is safe for concurrent use; a program needs only one.
type Client struct {
	url     string
	key     watchword.Code
	http    *http.Client
	timeout time.Duration
	retries int
}

// New returns a Client, or an error if the configuration is invalid. It sends nothing.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("client: Config.URL must be an https or http URL")
	}
	if u.User != nil || strings.ContainsAny(c.URL, "?#") {
		return nil, errors.New("client: Config.URL must have no user name, query or fragment")
	}
	if c.APIKey.IsZero() {
		return nil, errors.New("client: Config.APIKey is missing")
	}
	if strings.ContainsFunc(c.APIKey.Reveal(), func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, errors.New("client: Config.APIKey has characters that no API key has, for example a line break at the end of its file")
	}
	out := &Client{url: strings.TrimRight(c.URL, "/"), key: c.APIKey, http: &http.Client{}, timeout: c.Timeout, retries: c.Retries}
	if c.HTTPClient != nil {
		own := *c.HTTPClient
		out.http = &own
	}
	out.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if out.timeout <= 0 {
		out.timeout = defaultTimeout
	}
	if out.retries == 0 {
		out.retries = defaultRetries
	}
	return out, nil
}

// An Option changes one call.
type Option func(*request)

// IdempotencyKey sets the Idempotency-Key of a POST: 1 to 255 visible ASCII characters. The default is a random one. Use it if your
// process may end between two tries, with a key that it can derive again.
func IdempotencyKey(key string) Option {
	return func(r *request) { r.idempotencyKey = key }
}

// Authorization adds a receipt of purpose manage_factors for the same subject to a change of factors.
func Authorization(receipt string) Option {
	return func(r *request) { r.authorization = receipt }
}
