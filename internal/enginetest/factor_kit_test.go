package enginetest_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/otp/recovery"
	"github.com/watchword-auth/watchword/otp/totp"
	"github.com/watchword-auth/watchword/store/sql/sqlite"
)

// hotpCode returns the code of RFC 4226 §5.3: six digits, SHA-1.
func hotpCode(secret []byte, counter uint64) string {
	mac := hmac.New(sha1.New, secret)
	_ = binary.Write(mac, binary.BigEndian, counter)
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%1e6)
}

// slowStore delays every call and every reply like a network.
type slowStore struct {
	watchword.Store
	lag time.Duration
}

func (s *slowStore) Attempt(ctx context.Context, id string, g []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	time.Sleep(s.lag)
	defer time.Sleep(s.lag)
	return s.Store.Attempt(ctx, id, g, b)
}

func (s *slowStore) Close(ctx context.Context, id string, c watchword.Closing) error {
	time.Sleep(s.lag)
	defer time.Sleep(s.lag)
	return s.Store.Close(ctx, id, c)
}

func (s *slowStore) Get(ctx context.Context, id string) (watchword.Entry, error) {
	time.Sleep(s.lag)
	defer time.Sleep(s.lag)
	return s.Store.Get(ctx, id)
}

// factorKit is an engine with the strategies whose answers are spent, and a subject who has enrolled all of them.
type factorKit struct {
	*kit
	secrets map[string][]byte
	counter uint64   // the token's next counter
	codes   []string // unused recovery codes
}

func newFactorKit(t *testing.T, options ...func(*watchword.Config)) *factorKit {
	t.Helper()
	apps, err := totp.New(totp.Config{Issuer: "Shop"})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := totp.NewHOTP(totp.HOTPConfig{Issuer: "Shop"})
	if err != nil {
		t.Fatal(err)
	}
	k := &factorKit{secrets: map[string][]byte{}}
	k.kit = newKit(t, append([]func(*watchword.Config){func(c *watchword.Config) {
		c.Strategies = append(c.Strategies, apps, tokens, recovery.New())
	}}, options...)...)
	for _, strategy := range []string{"totp", "hotp", "recovery"} {
		k.enrolAll(strategy)
	}
	k.clock.advance(time.Hour)
	return k
}

// enrolAll enrols with one strategy and keeps the subject's secrets.
func (k *factorKit) enrolAll(strategy string) {
	k.t.Helper()
	s := k.start(watchword.StartRequest{Strategy: strategy, Purpose: "enrol", Subject: subject, Authority: watchword.Authority{Admin: true}})
	if codes, ok := s.Public["codes"].([]string); ok {
		k.codes = codes
	} else {
		secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(s.Public["secret"].(string))
		if err != nil {
			k.t.Fatal(err)
		}
		k.secrets[strategy] = secret
	}
	answer := k.rightAnswer(strategy)
	if strategy == "recovery" {
		k.codes = append(k.codes, answer) // the confirmation spends no code
	}
	if _, err := k.check(s.ID, answer, forEnrolment); err != nil {
		k.t.Fatalf("enrol %s: %v", strategy, err)
	}
}

// rightAnswer returns a right answer that was not used yet.
func (k *factorKit) rightAnswer(strategy string) string {
	switch strategy {
	case "totp":
		return hotpCode(k.secrets[strategy], uint64(k.clock.Now().Unix()/30))
	case "hotp":
		k.counter++
		return hotpCode(k.secrets[strategy], k.counter-1)
	}
	code := k.codes[0]
	k.codes = k.codes[1:]
	return code
}

func (k *factorKit) wrongAnswer(strategy string) string {
	if strategy == "recovery" {
		return "2222-2222-2222-2222"
	}
	for counter := uint64(1 << 40); ; counter++ {
		if code := hotpCode(k.secrets[strategy], counter); !k.mayAccept(strategy, code) {
			return code
		}
	}
}

// mayAccept reports whether a code is one of those that are right now, or soon, by chance too.
func (k *factorKit) mayAccept(strategy, code string) bool {
	first := k.counter
	if strategy == "totp" {
		first = uint64(k.clock.Now().Unix()/30) - 10
	}
	for counter := range uint64(20) {
		if hotpCode(k.secrets[strategy], first+counter) == code {
			return true
		}
	}
	return false
}

func (k *factorKit) startChallenge(strategy string) string {
	k.t.Helper()
	return k.start(watchword.StartRequest{Strategy: strategy, Purpose: "sign_in", Subject: subject}).ID
}

// failures returns the consecutive failures of a strategy's factor.
func (k *factorKit) failures(strategy string) int {
	k.t.Helper()
	all, err := k.ListFactors(context.Background(), subject)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, f := range all {
		if f.Strategy == strategy {
			return f.Failures
		}
	}
	return -1
}

// rounds returns 20, and 60 in a soak.
func rounds() int {
	if os.Getenv("WATCHWORD_SOAK") != "" {
		return 60
	}
	return 20
}

func onFile(t *testing.T) func(*watchword.Config) {
	return func(c *watchword.Config) {
		f, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "watchword.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		c.Factors = f
	}
}
