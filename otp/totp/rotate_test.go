package totp

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/watchword-auth/watchword"
)

// Some devices are used while keys are rotated, others are not. Afterwards no factor needs the old key.
func testRotationUnderLoad(t *testing.T, k *kit) {
	if _, ok := k.config.Factors.(watchword.FactorPager); !ok {
		t.Skip("this store has no pages")
	}
	const people, away, logins = 8, 4, 12
	var devices []*device
	for n := range people + away {
		devices = append(devices, k.enrol("totp", fmt.Sprint("user_", n)))
	}
	before := k.config.Keys[0]
	k.config.Keys = []watchword.Key{testKey(t, "k2"), before}
	k.Engine = k.newNode()
	rotator := k.newNode()
	for range logins {
		k.advance(step)
		var all sync.WaitGroup
		for n, d := range devices[:people] {
			subject, id, code := fmt.Sprint("user_", n), k.startChallenge("totp", fmt.Sprint("user_", n)), d.codeAt(k.time())
			all.Go(func() {
				if _, err := k.answer(id, subject, "sign_in", code); err != nil {
					t.Errorf("%s: %v", subject, err)
				}
			})
		}
		all.Go(func() {
			if err := rotator.Reseal(context.Background(), func(int, int) {}); err != nil {
				t.Errorf("reseal: %v", err)
			}
		})
		all.Wait()
	}
	k.config.Keys = k.config.Keys[:1]
	k.Engine = k.newNode()
	k.advance(step)
	for n, d := range devices {
		if err := k.checkCode("totp", fmt.Sprint("user_", n), d.codeAt(k.time())); err != nil {
			t.Errorf("without the old key: %v", err)
		}
	}
}
