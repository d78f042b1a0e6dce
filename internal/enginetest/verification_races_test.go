package enginetest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	redisstore "github.com/watchword-auth/watchword/store/redis"
)

// eachStore runs a test with a node on each kind of store, and the function that makes another node on the same one.
func eachStore(t *testing.T, test func(t *testing.T, k *verificationKit, other *watchword.Engine)) {
	type open func(t *testing.T) func(*watchword.Config)
	real := func(c *watchword.Config) { c.Clock = time.Now }
	stores := map[string]open{
		"memory": func(*testing.T) func(*watchword.Config) { return func(*watchword.Config) {} },
		"redis": func(t *testing.T) func(*watchword.Config) {
			server := redistest.Start(t)
			return func(c *watchword.Config) {
				real(c)
				c.Store = redisstore.New(server.Client(t), redisstore.Config{})
			}
		},
		"cluster": func(t *testing.T) func(*watchword.Config) {
			cluster := redistest.StartCluster(t)
			return func(c *watchword.Config) {
				real(c)
				c.Store = redisstore.New(cluster.Client(t), redisstore.Config{})
			}
		},
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			option := open(t)
			k := &verificationKit{&factorKit{kit: newKit(t, option, withoutBudget)}} // without factors: their clock is another one
			test(t, k, k.newNode(option))
		})
	}
}

// Of two right answers by different methods at the same time, on two nodes, one gets the receipt. So does one of many copies of
// both.
func TestConcurrentRightAnswersOfSeveralMethodsGiveOneReceipt(t *testing.T) {
	eachStore(t, func(t *testing.T, k *verificationKit, other *watchword.Engine) {
		for round := range rounds() {
			copies := []int{1, 1, 5}[round%3]
			v := k.startVerification(verificationOf(smsMethod, mailMethod))
			answers := []string{k.code(k.open(v.ID, "m1")), k.code(k.open(v.ID, "m2"))}
			got := runConcurrently(2*copies, func(i int) error {
				node := []*watchword.Engine{k.Engine, other}[i%2]
				_, err := checkMethod(node, v.ID, []string{"m1", "m2"}[i%2], answers[i%2])
				return err
			})
			if got[""] != 1 || got["challenge_approved"]+got["challenge_canceled"] != 2*copies-1 {
				t.Fatalf("round %d: %v", round, got)
			}
			_, err := k.redeem(v)
			k.requireCode(err, watchword.ErrReceiptUsed)
		}
		if n := len(k.events.ofType(watchword.EventVerificationApproved)); n != rounds() {
			t.Errorf("%d events of %d approvals", n, rounds())
		}
	})
}

// A page's answer and the backend's at the same time, by different methods: one receipt, by the check or by the redeem.
func TestConcurrentAnswersOfAPageAndABackendGiveOneReceipt(t *testing.T) {
	eachStore(t, func(t *testing.T, k *verificationKit, other *watchword.Engine) {
		for round := range rounds() {
			v := k.startVerification(verificationOf(smsMethod, mailMethod))
			sms, mail := k.code(k.open(v.ID, "m1")), k.code(k.open(v.ID, "m2"))
			got := runConcurrently(6, func(i int) error {
				switch i % 3 {
				case 0:
					_, err := checkMethod(k.Engine, v.ID, "m1", sms)
					return err
				case 1:
					if err := other.AnswerVerification(context.Background(), v.ID, "m2", watchword.Answer{Text: mail}, watchword.Client{}); err != nil {
						return fmt.Errorf("page: %w", err)
					}
				}
				_, err := other.RedeemVerification(context.Background(), v.ID, watchword.RedeemRequest{Handle: v.Handle.Reveal(), Purpose: "sign_in", Subject: subject})
				return err
			})
			receipts := got[""]
			if _, err := k.redeem(v); err == nil {
				receipts++
			}
			if receipts != 1 {
				t.Fatalf("round %d: %d receipts: %v", round, receipts, got)
			}
		}
	})
}

// Of many copies of one right answer exactly one is approved, and the others are refused as copies, also when the strategy spends a
// factor.
func TestCopiesOfARightAnswerToAVerificationApproveExactlyOnce(t *testing.T) {
	for _, strategy := range []string{"totp", "hotp", "recovery", "otp"} {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			k := newVerificationKit(t, withoutBudget)
			remote := k.newNode(func(c *watchword.Config) { c.Store = &slowStore{c.Store, 5 * time.Millisecond} })
			for round := range min(rounds(), 8) {
				k.clock.advance(time.Hour)
				method := watchword.MethodRequest{Strategy: strategy}
				if strategy == "otp" {
					method = smsMethod
				}
				v := k.startVerification(verificationOf(method))
				answer := ""
				if strategy == "otp" {
					answer = k.code(v.Challenge.ID)
				} else {
					answer = k.rightAnswer(strategy)
				}
				const copies = 10
				got := runConcurrently(copies, func(i int) error {
					return repeatInFlight(func() error {
						_, err := checkMethod([]*watchword.Engine{k.Engine, remote}[i%2], v.ID, "", answer)
						return err
					})
				})
				if got[""] != 1 || got["challenge_approved"] != copies-1 {
					t.Fatalf("round %d: %v", round, got)
				}
			}
			if n := k.failures(strategy); strategy != "otp" && n != 0 {
				t.Errorf("%d failures", n)
			}
		})
	}
}
