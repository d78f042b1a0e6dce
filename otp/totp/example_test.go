package totp_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	lib "github.com/pquerna/otp/totp"
	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/otp/totp"
	"github.com/watchword-auth/watchword/store/memory"
)

// Enrol an authenticator app, and sign in with it.
func Example() {
	clock := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	now := func() time.Time { return clock }
	engine := newEngine(now)
	ctx := context.Background()

	// The page shows enrolment.Public: "qr" to scan, or "secret" to type.
	enrolment, _ := engine.Start(ctx, watchword.StartRequest{Strategy: "totp", Purpose: watchword.PurposeEnrol, Subject: "user_42",
		Metadata: map[string]string{"account": "alice@example.com"}})
	shown, _ := url.Parse(enrolment.Public["uri"].(string))
	fmt.Println(enrolment.Ask, shown.Path)
	secret := shown.Query().Get("secret") // what the app keeps from now on

	code, _ := lib.GenerateCode(secret, clock)
	enrolled, _ := engine.Check(ctx, enrolment.ID, watchword.CheckRequest{Purpose: watchword.PurposeEnrol, Subject: "user_42", Answer: watchword.Answer{Text: code}})
	fmt.Println("enrolled:", enrolled.Factor.Strategy)

	clock = clock.Add(time.Minute)
	code, _ = lib.GenerateCode(secret, clock)
	for range 2 {
		challenge, _ := engine.Start(ctx, watchword.StartRequest{Strategy: "totp", Purpose: watchword.PurposeMFA, Subject: "user_42"})
		result, err := engine.Check(ctx, challenge.ID, watchword.CheckRequest{Purpose: watchword.PurposeMFA, Subject: "user_42", Answer: watchword.Answer{Text: code}})
		if errors.Is(err, watchword.ErrIncorrectAnswer) {
			fmt.Println("the same code again: refused")
			continue
		}
		fmt.Println("proven by", result.Claims.AMR)
	}
	// Output:
	// scan /Shop:alice@example.com
	// enrolled: totp
	// proven by [otp]
	// the same code again: refused
}

func newEngine(now func() time.Time) *watchword.Engine {
	strategy, err := totp.New(totp.Config{Issuer: "Shop"})
	if err != nil {
		panic(err)
	}
	key, _ := watchword.NewKey("2026-05", []byte("32 random bytes from a secret store"))
	identity, _ := watchword.NewKey("identity", []byte("32 other bytes from a secret store"))
	engine, err := watchword.New(watchword.Config{App: "shop", Issuer: "https://verify.example.com", Clock: now,
		Keys: []watchword.Key{key}, Identity: identity, Strategies: []watchword.Strategy{strategy},
		Store: memory.New(memory.Config{Clock: now}), Factors: &memory.Factors{}})
	if err != nil {
		panic(err)
	}
	return engine
}
