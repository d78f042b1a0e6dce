package device_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/device"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/store/memory"
)

// A recorder is the strategy, and keeps the data of each factor that the engine stores.
type recorder struct {
	*device.Strategy
	mu   sync.Mutex
	data [][]byte
}

func (r *recorder) keep(data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data = append(r.data, bytes.Clone(data))
}

// NewDevice implements watchword.DeviceTruster.
func (r *recorder) NewDevice(c *watchword.Challenge) (watchword.Factor, watchword.Code, error) {
	f, token, err := r.Strategy.NewDevice(c)
	r.keep(f.Data)
	return f, token, err
}

// Verify implements watchword.DeviceTruster.
func (r *recorder) Verify(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Proof, error) {
	p, err := r.Strategy.Verify(ctx, c, answer)
	if p.Spend != nil {
		r.keep(p.Spend.Data)
	}
	return p, err
}

// What is stored, even decrypted, has no token in any encoding, and neither has a log line or an event.
func TestStoredDeviceHasNoToken(t *testing.T) {
	r := &recorder{Strategy: device.New()}
	var log bytes.Buffer
	k := newKit(t, "shop", &memory.Factors{}, func(c *watchword.Config) {
		c.Strategies[2] = r
		c.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	tokens := []watchword.Code{k.remember(ann)}
	for range 3 {
		tokens = append(tokens, k.wantApproved("use", ann, tokens[len(tokens)-1]))
		k.advance(2 * time.Minute)
	}
	k.wantIgnored("an old one", ann, tokens[0])
	for i, token := range tokens {
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token.Reveal(), "dv_"))
		if err != nil || len(raw) < 32 {
			t.Fatalf("a token of %d bytes: %v", len(raw), err)
		}
		secret := raw[len(raw)-32:]
		for _, form := range []string{token.Reveal(), string(secret), hex.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret), base64.RawURLEncoding.EncodeToString(secret)} {
			for _, data := range r.data {
				if bytes.Contains(data, []byte(form)) {
					t.Errorf("token %d is stored: %s", i, data)
				}
			}
			if strings.Contains(log.String(), form) || strings.Contains(fmt.Sprintf("%+v", k.events), form) {
				t.Errorf("token %d is in the log or in an event", i)
			}
		}
		if strings.Contains(fmt.Sprintf("%v %+v %#v", token, token, struct{ t watchword.Code }{token}), token.Reveal()) {
			t.Error("a token was printed")
		}
	}
	if len(r.data) < 4 {
		t.Errorf("%d factors were recorded", len(r.data))
	}
}

// The keyring rotates while tokens are used: nodes with either order of keys give the same successor, old tokens stay recognized, and
// a device that was used under the new key outlives the old one.
func TestDeviceOutlivesRotationOfKeyring(t *testing.T) {
	k := newKit(t, "shop", &memory.Factors{})
	old := k.remember(ann)
	next := k.wantApproved("before", ann, old)
	rotate := func(ids ...string) {
		k.Engine = k.newNode(func(c *watchword.Config) {
			c.Keys = nil
			for _, id := range ids {
				c.Keys = append(c.Keys, testKey(t, id))
			}
		})
	}
	rotate("k2", "k1")
	if again := k.wantApproved("on a node with the new key", ann, old); again.Reveal() != next.Reveal() {
		t.Error("another successor under the new key")
	}
	third := k.wantApproved("the successor", ann, next)
	if again := k.wantApproved("the replaced one within the minute", ann, old); again.Reveal() != next.Reveal() {
		t.Error("the overlap gave another token")
	}
	k.advance(2 * time.Minute)
	fourth := k.wantApproved("the third", ann, third)
	rotate("k2")
	k.wantApproved("without the old key", ann, fourth)
	k.wantApproved("the third, whose key is gone, within the minute", ann, third)
	k.advance(2 * time.Minute)
	k.wantIgnored("the third, after it", ann, third)
	if n := len(k.eventsOf(watchword.EventDeviceReused)); n != 1 {
		t.Errorf("%d events device.reused", n)
	}
}

// A valid token makes the client of a challenge trusted: it has limits of its own, which strangers cannot use up. An invalid one
// changes nothing. The start answers with the successor.
func TestTokenMakesClientOfChallengeTrusted(t *testing.T) {
	k := newKit(t, "shop", &memory.Factors{}, func(c *watchword.Config) {
		limits, err := ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{}), []ratelimit.Rule{{Name: "address", Limit: 3, Window: time.Hour, By: ratelimit.ByAddress}}, c.App)
		if err != nil {
			t.Fatal(err)
		}
		c.Starts = limits
	})
	token := k.remember(ann)
	start := func(token string) (*watchword.Started, error) {
		return k.Start(t.Context(), watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "email", To: ann + "@example.com", Subject: ann, DeviceToken: watchword.NewCode(token)})
	}
	for range 2 {
		if s, err := start("dv_invalid"); err != nil || s.Client.Known || !s.DeviceToken.IsZero() {
			t.Fatalf("with an invalid token: %+v, %v", s, err)
		}
	}
	for _, invalid := range []string{"", "dv_invalid"} {
		_, err := start(invalid)
		wantError(t, "when the limit is reached", err, watchword.ErrRateLimited)
	}
	s, err := start(token.Reveal())
	if err != nil || !s.Client.Known || s.Status != watchword.Pending || s.DeviceToken.IsZero() {
		t.Fatalf("with a valid token: %+v, %v", s, err)
	}
	if successor := k.wantApproved("the successor", ann, s.DeviceToken); successor.Reveal() == s.DeviceToken.Reveal() {
		t.Error("the successor was not replaced")
	}
	_, err = k.Start(t.Context(), watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "email", To: ann + "@example.com", Subject: "user_43", DeviceToken: s.DeviceToken})
	wantError(t, "another subject", err, watchword.ErrRateLimited)
}

// Starts that a device answers count in the limits like others.
func TestStartsByDeviceAreLimited(t *testing.T) {
	k := newKit(t, "shop", &memory.Factors{}, func(c *watchword.Config) {
		limits, err := ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{}), []ratelimit.Rule{{Name: "subject", Limit: 3, Window: time.Hour, By: ratelimit.BySubject}}, c.App)
		if err != nil {
			t.Fatal(err)
		}
		c.Starts = limits
	})
	token := k.remember(ann)
	for range 3 {
		token = k.wantApproved("within the limit", ann, token)
	}
	req := request(ann)
	req.DeviceToken = token
	_, err := k.StartVerification(t.Context(), req)
	wantError(t, "beyond it", err, watchword.ErrRateLimited)
}

// A process dies, or its store fails, after the verification was written and before the device's challenge was approved. The same
// request gets its receipt, which is valid.
func TestInterruptedStartByDeviceIsRepeated(t *testing.T) {
	k := newKit(t, "shop", &memory.Factors{})
	token := k.remember(ann)
	for _, fails := range []string{"create", "close"} {
		failing := k.newNode(func(c *watchword.Config) { c.Store = &failingStore{Store: c.Store, fails: fails} })
		req := request(ann)
		req.DeviceToken, req.Seed = token, []byte("a request, "+fails)
		_, err := failing.StartVerification(t.Context(), req)
		wantError(t, fails, err, watchword.ErrUnavailable)
		s := k.start(req)
		if s.Approved == nil {
			t.Fatalf("%s: %+v", fails, s)
		}
		if err := k.RedeemReceipt(t.Context(), *s.Approved.Claims, "mfa", nil); err != nil {
			t.Errorf("%s: the receipt: %v", fails, err)
		}
		token = s.DeviceToken
	}
}

// A failingStore fails at one operation of a challenge, after the verification was created.
type failingStore struct {
	watchword.Store
	fails   string
	created int
}

func (s *failingStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if s.created++; s.fails == "create" && s.created > 1 {
		return errors.New("gone")
	}
	return s.Store.Create(ctx, e, out...)
}

func (s *failingStore) Close(ctx context.Context, id string, c watchword.Closing) error {
	if s.fails == "close" {
		return errors.New("gone")
	}
	return s.Store.Close(ctx, id, c)
}

func TestNewRefusesUnsafeTrustedDevices(t *testing.T) {
	k := newKit(t, "shop", &memory.Factors{})
	for what, c := range map[string]struct {
		devices watchword.TrustedDevices
		change  func(*watchword.Config)
		problem string
	}{
		"enrol":              {watchword.TrustedDevices{Purposes: []string{"enrol"}}, nil, "never answered by a trusted device"},
		"manage_factors":     {watchword.TrustedDevices{Purposes: []string{"mfa", "manage_factors"}}, nil, "Purposes[1]"},
		"password_reset":     {watchword.TrustedDevices{Purposes: []string{"password_reset"}}, nil, "never answered by a trusted device"},
		"a mistyped purpose": {watchword.TrustedDevices{Purposes: []string{"signin"}}, nil, "nearly sign_in"},
		"no purpose":         {watchword.TrustedDevices{Lifetime: month}, nil, "missing"},
		"too short":          {watchword.TrustedDevices{Purposes: []string{"mfa"}, Lifetime: time.Minute}, nil, "is not between"},
		"too long":           {watchword.TrustedDevices{Purposes: []string{"mfa"}, Lifetime: 366 * 24 * time.Hour}, nil, "is not between"},
		"no strategy":        {watchword.TrustedDevices{Purposes: []string{"mfa"}}, func(c *watchword.Config) { c.Strategies = c.Strategies[:2] }, "needs a strategy that trusts devices"},
		"two strategies":     {watchword.TrustedDevices{Purposes: []string{"mfa"}}, func(c *watchword.Config) { c.Strategies = append(c.Strategies[:3:3], &renamed{device.New()}) }, "trusts devices already"},
		"no factors":         {watchword.TrustedDevices{Purposes: []string{"mfa"}}, func(c *watchword.Config) { c.Factors = nil }, "needs Factors"},
		"the default":        {watchword.TrustedDevices{Purposes: []string{"mfa"}}, nil, ""},
		"off":                {watchword.TrustedDevices{}, nil, ""},
	} {
		cfg := k.config
		cfg.TrustedDevices = c.devices
		if c.change != nil {
			c.change(&cfg)
		}
		_, err := watchword.New(cfg)
		if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: %v, want %q", what, err, c.problem)
		}
	}
}

// renamed is a second strategy that trusts devices.
type renamed struct{ *device.Strategy }

// Name implements watchword.Strategy.
func (*renamed) Name() string { return "gadget" }
