package enginetest_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	redisstore "github.com/watchword-auth/watchword/store/redis"
)

// snapshot returns every key of a Redis with its content.
func snapshot(t *testing.T, client redis.UniversalClient) map[string]string {
	t.Helper()
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, key := range keys {
		if out[key], err = client.Dump(t.Context(), key).Result(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// Whoever can write to Redis puts every combination of earlier versions of a verification and its challenge back, whether the challenge
// was closed or not. The process that has given the receipt gives no second one and takes the receipt once, also for another right
// answer; another process takes no wrong answer.
func TestRestoredVersionsOfAVerificationAndItsChallengeGiveNoSecondReceipt(t *testing.T) {
	client := redistest.Start(t).Client(t)
	for _, closes := range []bool{true, false} {
		for _, byPage := range []bool{true, false} {
			t.Run(fmt.Sprintf("closed %t, by page %t", closes, byPage), func(t *testing.T) {
				if err := client.FlushDB(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
				k := newVerifierKit(t)
				newNode := func() *watchword.Engine {
					return k.newNode(func(c *watchword.Config) {
						c.Clock, c.Store = time.Now, redisstore.New(client, redisstore.Config{})
						if !closes {
							c.Store = &unclosingStore{c.Store}
						}
					})
				}
				testRestoredVersions(t, k, client, newNode, byPage)
			})
		}
	}
}

func testRestoredVersions(t *testing.T, k *verifierKit, client redis.UniversalClient, newNode func() *watchword.Engine, byPage bool) {
	ctx := t.Context()
	node := newNode()
	v := startOn(t, node, verificationOf(watchword.MethodRequest{Strategy: "hotp"}))
	answer, seeded := k.rightAnswer("hotp"), func(r *watchword.VerificationCheck) { r.Seed = []byte("one") }
	versions := []map[string]string{snapshot(t, client)}
	if byPage {
		if err := answerOn(node, v, "m1", answer); err != nil {
			t.Fatal(err)
		}
		versions = append(versions, snapshot(t, client))
	}
	collect := func() (*watchword.VerificationResult, error) {
		if byPage {
			return redeemOn(node, v)
		}
		return checkMethod(node, v.ID, "m1", answer, seeded)
	}
	result, err := collect()
	if err != nil {
		t.Fatal(err)
	}
	versions = append(versions, snapshot(t, client))
	if err := node.RedeemReceipt(ctx, *result.Claims, "sign_in", []byte("one")); err != nil {
		t.Fatal(err)
	}
	versions = append(versions, snapshot(t, client))
	another := k.rightAnswer("hotp")
	attacks := map[string]func() error{
		"a copy":  func() error { _, err := checkMethod(node, v.ID, "m1", answer); return err },
		"another": func() error { _, err := checkMethod(node, v.ID, "m1", another); return err },
		"a page":  func() error { _ = answerOn(node, v, "m1", answer); _, err := redeemOn(node, v); return err },
		"the repetition": func() error {
			r, err := checkMethod(node, v.ID, "m1", answer, seeded)
			if err == nil && r.Claims.ExpiresAt == result.Claims.ExpiresAt {
				return watchword.ErrChallengeApproved // the same receipt
			}
			return err
		},
		"the receipt": func() error { return node.RedeemReceipt(ctx, *result.Claims, "sign_in", []byte("two")) },
		"a wrong one": func() error { _, err := checkMethod(newNode(), v.ID, "m1", k.wrongAnswer("hotp")); return err },
	}
	for i, first := range versions {
		for j, second := range versions {
			for name, attack := range attacks {
				restore(t, client, first, second)
				if err := attack(); err == nil {
					t.Errorf("versions %d and %d: %s is accepted", i, j, name)
				}
			}
		}
	}
}

// restore puts every second key back from another snapshot than the others.
func restore(t *testing.T, client redis.UniversalClient, first, second map[string]string) {
	t.Helper()
	for i, key := range slices.Sorted(maps.Keys(first)) {
		content := first[key]
		if i%2 == 1 {
			content = second[key]
		}
		if err := client.RestoreReplace(t.Context(), key, time.Hour, content).Err(); err != nil {
			t.Fatal(err)
		}
	}
}
