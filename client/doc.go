// Package client calls a watchword server over HTTP.
//
// A Client starts verifications and challenges, checks answers, and manages factors:
//
//	c, err := client.New(client.Config{URL: "https://verify.example.com", APIKey: watchword.NewCode(key)})
//	started, err := c.StartVerification(ctx, client.VerificationRequest{
//		Purpose: "sign_in", Methods: []client.MethodRequest{{Strategy: "otp", Channel: "email", To: "ann@example.com"}},
//	})
//	verified, err := c.CheckVerification(ctx, started.ID, client.CheckRequest{
//		Purpose: "sign_in", To: "ann@example.com", Answer: client.Text(typed),
//	})
//
// If a check returns no error, the person is verified. Keep the id and the handle in the session of the browser that you serve, and
// take purpose, subject and address from there. Other services that act on the receipt verify it with package receipt.
//
// # Errors
//
// A refusal by the server is a *Problem. It wraps the *watchword.Error that the library would return, so the same code serves both:
//
//	var wrong *watchword.Error
//	if errors.As(err, &wrong) && errors.Is(err, watchword.ErrIncorrectAnswer) {
//		fmt.Println(wrong.Remaining, "tries left")
//	}
//
// # Repetitions
//
// Every POST has an Idempotency-Key, the same for each try of a call. So a call is repeated after a broken connection, a time-out and
// a 503: nothing is sent twice, and a right answer whose response was lost gets its receipt. PATCH and DELETE use up their proof, so
// they are repeated only if nothing has happened. A 429 is not repeated: RetryAfter of the error says how long to wait. If the server
// still answers an earlier try (idempotency_in_flight), the call waits for it, for at most 15 seconds.
package client
