package device_test

import (
	"context"
	"fmt"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/device"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/store/memory"
)

// The app asks for a second step and for a trusted device. At the next sign-in the device answers by itself.
func Example() {
	key, _ := watchword.NewKey("2026", []byte("32 random bytes, from a file in production"))
	identity, _ := watchword.NewKey("identity", []byte("32 other random bytes, from another file"))
	codes, _ := otp.New(otp.Config{})
	addresses, _ := delivery.NewAddressPolicy(delivery.Addresses{})
	queue := delivery.NewQueue(100, nil)
	engine, _ := watchword.New(watchword.Config{App: "shop", Issuer: "https://verify.example.com", Keys: []watchword.Key{key}, Identity: identity,
		Store: memory.New(memory.Config{}), Factors: &memory.Factors{}, Outbox: queue, Channels: []string{"email"}, Addresses: addresses,
		Strategies:     []watchword.Strategy{codes, device.New()},
		TrustedDevices: watchword.TrustedDevices{Purposes: []string{watchword.PurposeMFA}}})

	ctx := context.Background()
	step := watchword.VerificationRequest{Purpose: watchword.PurposeMFA, Subject: "user_42", RememberDevice: true,
		Methods: []watchword.MethodRequest{{Strategy: "otp", To: "ann@example.com", Channel: "email"}}}
	started, _ := engine.StartVerification(ctx, step)
	claimed, _ := queue.Claim(ctx, 1)
	message, _ := engine.ComposeMessage(ctx, claimed[0])
	result, _ := engine.CheckVerification(ctx, started.ID, watchword.VerificationCheck{CheckRequest: watchword.CheckRequest{
		Purpose: watchword.PurposeMFA, Subject: "user_42", Answer: watchword.Answer{Text: message.Code.Reveal()}}})
	cookie := result.DeviceToken // set as HttpOnly; Secure; SameSite=Lax

	step.DeviceToken = cookie
	again, _ := engine.StartVerification(ctx, step)
	cookie = again.DeviceToken // replaces the cookie
	fmt.Println(again.Status, again.Approved.Claims.Strategy, !cookie.IsZero())
	// Output: approved device true
}
