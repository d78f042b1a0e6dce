package client_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/client"
	"github.com/watchword-auth/watchword/receipt"
)

// An app signs a person in by a code. The server is one of the tests; yours is `watchword serve`.
func Example() {
	s, closing, err := newTestServer()
	defer closing()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	c, err := client.New(client.Config{URL: s.url, APIKey: watchword.NewCode("the app's key")})
	if err != nil {
		fmt.Println(err)
		return
	}
	started, err := c.StartVerification(ctx, client.VerificationRequest{Purpose: "sign_in",
		Methods: []client.MethodRequest{{Strategy: "otp", Channel: "email", To: "ann@example.com"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	typed := s.code() // by the person
	approved, err := c.CheckVerification(ctx, started.ID, client.CheckRequest{Purpose: "sign_in", To: "ann@example.com", Answer: client.Text(typed)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("verified:", approved.Claims.SentTo)
	// Output: verified: a•••@example.com
}

// A refusal is a *Problem, and the *watchword.Error that the library would return.
func ExampleProblem() {
	s, closing, err := newTestServer()
	defer closing()
	if err != nil {
		fmt.Println(err)
		return
	}
	c, _ := client.New(client.Config{URL: s.url, APIKey: watchword.NewCode("the app's key")})
	_, err = c.CheckVerification(context.Background(), "vf_1", client.CheckRequest{Purpose: "sign_in", Subject: "user_42", Answer: client.Text("492039")})

	var refusal *watchword.Error
	switch {
	case errors.Is(err, watchword.ErrUnknownVerification):
		fmt.Println("start again")
	case errors.As(err, &refusal) && refusal.RetryAfter > 0:
		fmt.Println("try again after", refusal.RetryAfter)
	default:
		fmt.Println(err)
	}
	// Output: start again
}

// Another service verifies the receipt with package receipt, without asking the server.
func ExampleClient_CheckChallenge() {
	s, closing, err := newTestServer()
	defer closing()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	c, _ := client.New(client.Config{URL: s.url, APIKey: watchword.NewCode("the app's key")})
	started, err := c.StartChallenge(ctx, client.StartRequest{Strategy: "otp", Purpose: "mfa", Channel: "email", To: "ann@example.com", Subject: "user_42"})
	if err != nil {
		fmt.Println(err)
		return
	}
	approved, err := c.CheckChallenge(ctx, started.ID, client.CheckRequest{Purpose: "mfa", Subject: "user_42", Answer: client.Text(s.code())})
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier, _ := receipt.NewVerifier(receipt.VerifierConfig{Issuer: s.url}) // in the other service
	claims, err := verifier.Verify(ctx, approved.Receipt, receipt.Expect{Purpose: "mfa", Audience: "shop", Subject: "user_42"})
	fmt.Println(claims.Subject, claims.Strategy, err)
	// Output: user_42 otp <nil>
}
