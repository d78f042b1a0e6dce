package enginetest_test

import (
	"context"
	"testing"

	"github.com/watchword-auth/watchword"
)

func TestStartAcceptsReturnURLOfListedOriginOnly(t *testing.T) {
	k := newKit(t, func(c *watchword.Config) {
		c.ReturnOrigins = []string{"https://app.example.com", "https://other.example.com:8443", "http://localhost:3000"}
	})
	try := func(url string) error {
		req := startByEmail()
		req.ReturnURL = url
		_, err := k.Start(context.Background(), req)
		return err
	}
	for _, good := range []string{"https://app.example.com", "https://app.example.com/", "https://app.example.com/done?x=1#y", "https://app.example.com?x=https://evil.example",
		"https://other.example.com:8443/a", "http://localhost:3000/back"} {
		if err := try(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"/done", "done", "//app.example.com", "//evil.example", "///app.example.com", "https:app.example.com", "https:/app.example.com", "https:///app.example.com",
		"http://app.example.com", "HTTPS://app.example.com", "https://APP.example.com", "https://app.example.com.", "https://app.example.com:443", "https://app.example.com:0443",
		"https://app.example.com:", "https://app.example.com:8443", "https://other.example.com", "https://app.example.com@evil.example", "https://app.example.com:x@evil.example",
		"https://evil.example/https://app.example.com", "https://evil.example?https://app.example.com", "https://evil.example#https://app.example.com", "https://app.example.com.evil.example",
		"https://evilapp.example.com", "https://app.example.com%2eevil.example", "https://app.example.com%00.evil.example", `https://evil.example\@app.example.com`, `https:\\app.example.com`,
		`https://app.example.com\.evil.example`, "https://app.example.com\t.evil.example", "\thttps://app.example.com", " https://app.example.com", "https://app.example.com\n", "https://app.exa\u200bmple.com",
		"https://аpp.example.com", "https://app。example.com", "javascript:alert(1)", "JaVaScRiPt://app.example.com/%0aalert(1)", "data:text/html,https://app.example.com", "vbscript:x", "file:///etc/passwd",
		"ftp://app.example.com", "blob:https://app.example.com/x", "https://[::1]/", "https://user:pass@app.example.com/", "https://app.example.com|evil.example", "https://localhost:3000", "http://127.0.0.1:3000", "http://localhost",
	} {
		if err := try(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		} else {
			k.requireCode(err, watchword.ErrInvalidRequest)
		}
	}
	for _, bad := range []string{"app.example.com", "http://app.example.com", "https://app.example.com/path", "https://*.example.com", "https://a@app.example.com", "*"} {
		cfg := k.config
		cfg.ReturnOrigins = []string{bad}
		if _, err := watchword.New(cfg); err == nil {
			t.Errorf("the list may hold %q", bad)
		}
	}
}

func TestNewRefusesSMSOriginThatIsNoHost(t *testing.T) {
	k := newKit(t)
	for host, ok := range map[string]bool{"example.com": true, "app.example.com": true, "https://example.com": false, "example.com/x": false, "exa mple.com": false, "@example.com": false, "Example.com": false} {
		cfg := k.config
		cfg.SMSOrigin = host
		if _, err := watchword.New(cfg); (err == nil) != ok {
			t.Errorf("%q: %v", host, err)
		}
	}
}

// Links and receipts are made of the issuer, so what a browser reads as another URL, or as none, is no issuer.
func TestNewRefusesInvalidIssuer(t *testing.T) {
	k := newKit(t)
	for issuer, ok := range map[string]bool{"https://verify.example.com": true, "https://example.com:8443/verify": true, "http://localhost:8080": true,
		"": false, "https://verify.bücher.example": false, "https://verify.example.com:0": false, "https://verify.example.com:99999": false, "https://verify.example.com/": false,
		"https://Verify.example.com": false, "http://verify.example.com": false, "https://verify.example.com?a=b": false, "verify.example.com": false} {
		cfg := k.config
		cfg.Issuer = issuer
		if _, err := watchword.New(cfg); (err == nil) != ok {
			t.Errorf("%q: %v", issuer, err)
		}
	}
}
