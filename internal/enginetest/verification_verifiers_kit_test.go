package enginetest_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/store/memory"
	redisstore "github.com/watchword-auth/watchword/store/redis"
)

// The strategies of these tests that evaluate answers themselves. The last one is like a passkey: a challenge has one try, and a factor
// counts its uses, which each answer names, so that no answer is right twice.
var verifierStrategies = []string{"totp", "hotp", "recovery", "scripted"}

// A verifierKit is a verificationKit whose nodes may use other stores and the real clock.
type verifierKit struct {
	*verificationKit
	totpStep uint64 // the last one that was answered
	uses     atomic.Int64
}

// newVerifierKit enrols in the past, so that the real clock is later.
func newVerifierKit(t *testing.T, options ...func(*watchword.Config)) *verifierKit {
	t.Helper()
	key := &scriptedVerifier{verify: countUses, properties: watchword.StrategyProperties{Subject: true, Tries: 1, Ask: watchword.AskKey}}
	k := &verifierKit{verificationKit: newVerificationKit(t, append([]func(*watchword.Config){withoutBudget, func(c *watchword.Config) {
		c.Strategies = append(c.Strategies, key)
	}}, options...)...)}
	k.importKey()
	return k
}

func (k *verifierKit) importKey() {
	k.t.Helper()
	if err := k.ImportFactor(context.Background(), watchword.Factor{ID: "fa_key", Subject: subject, Strategy: "scripted", Data: []byte("0")}, watchword.Authority{Admin: true}); err != nil {
		k.t.Fatal(err)
	}
}

// countUses accepts the number of uses that comes next.
func countUses(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Proof, error) {
	factors, err := c.Factors(ctx)
	if err != nil || len(factors) == 0 {
		return watchword.Proof{}, watchword.ErrMismatch
	}
	f := factors[0]
	var last, next int
	if _, err := fmt.Sscan(string(f.Data), &last); err != nil {
		return watchword.Proof{}, err
	}
	if _, err := fmt.Sscan(answer, &next); err != nil || next <= last {
		return watchword.Proof{Compared: factors}, watchword.ErrMismatch
	}
	f.Data = []byte(answer)
	return watchword.Proof{Spend: &f, AMR: []string{"hwk"}}, nil
}

// rightVerifierAnswer returns a right answer by the real clock. Two codes of an authenticator app are right now and in the next 30 seconds.
func (k *verifierKit) rightVerifierAnswer(strategy string) string {
	switch strategy {
	case "totp":
		now := uint64(time.Now().Unix() / 30)
		k.totpStep = max(k.totpStep+1, now)
		if k.totpStep > now+1 {
			k.t.Fatal("no code of the authenticator app is left")
		}
		return hotpCode(k.secrets["totp"], k.totpStep)
	case "scripted":
		return fmt.Sprint(k.uses.Add(1))
	}
	return k.rightAnswer(strategy)
}

func (k *verifierKit) wrongVerifierAnswer(strategy string) string {
	if strategy == "scripted" {
		return "0"
	}
	return k.wrongAnswer(strategy)
}

// eachVerifierStore runs a test with two nodes on each kind of store, which close answered challenges or, as if they died after each
// answer, never do.
func eachVerifierStore(t *testing.T, test func(t *testing.T, k *verifierKit, nodes []*watchword.Engine)) {
	stores := map[string]func(t *testing.T) func() watchword.Store{
		"memory": func(*testing.T) func() watchword.Store {
			store := memory.New(memory.Config{})
			return func() watchword.Store { return store }
		},
		"redis": func(t *testing.T) func() watchword.Store {
			server := redistest.Start(t)
			return func() watchword.Store { return redisstore.New(server.Client(t), redisstore.Config{}) }
		},
		"cluster": func(t *testing.T) func() watchword.Store {
			cluster := redistest.StartCluster(t)
			return func() watchword.Store { return redisstore.New(cluster.Client(t), redisstore.Config{}) }
		},
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newStore := open(t)
			for name, wrap := range map[string]func(watchword.Store) watchword.Store{
				"challenges are closed": func(s watchword.Store) watchword.Store { return s },
				"challenges stay open":  func(s watchword.Store) watchword.Store { return &unclosingStore{s} },
			} {
				t.Run(name, func(t *testing.T) {
					k := newVerifierKit(t)
					node := func() *watchword.Engine {
						return k.newNode(func(c *watchword.Config) { c.Clock, c.Store = time.Now, wrap(newStore()) })
					}
					test(t, k, []*watchword.Engine{node(), node()})
				})
			}
		})
	}
}

// An unclosingStore closes no answered challenge, as if each process died after the answer.
type unclosingStore struct{ watchword.Store }

func (s *unclosingStore) Close(ctx context.Context, id string, c watchword.Closing) error {
	if c.State == watchword.StateApproved {
		return errDied
	}
	return s.Store.Close(ctx, id, c)
}
