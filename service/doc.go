// Package service starts a watchword engine, and what works beside it, from one Config: the worker that sends messages, limits, the
// breaker against SMS pumping, and events. It is for Go programs that call the engine themselves. Programs in other languages use the
// server (cmd/watchword).
//
// # The first code
//
// You open what the app uses, and so link nothing else. Errors are left out here; the example of the package has them:
//
//	keys, err := service.LoadKeys("keys")       // watchword keys new --dir keys
//	mail, err := delivery.Openers{"smtps": smtp.Open}.Open(ctx, "smtps://user:password@smtp.example.com?from=noreply@example.com", delivery.Environment{})
//	codes, err := otp.New(otp.Config{})
//
//	s, err := service.New(service.Config{
//		App: "shop", Name: "Example Shop", URL: "https://shop.example.com", Keys: keys,
//		Store: memory.New(memory.Config{}), Strategies: []watchword.Strategy{codes},
//		Senders: map[string][]delivery.Provider{"email": {{Name: "smtp", Sender: mail}}},
//	})
//	defer s.Close()
//
// Then ask, and check what the person answers:
//
//	started, err := s.Engine.Start(ctx, watchword.StartRequest{Strategy: "otp", Channel: "email", To: "ada@example.com",
//		Purpose: watchword.PurposeSignIn, Client: watchword.Client{IP: "203.0.113.7"}})
//	result, err := s.Engine.Check(ctx, started.ID, watchword.CheckRequest{To: "ada@example.com",
//		Purpose: watchword.PurposeSignIn, Answer: watchword.AnswerCode("123456")})
//
// result.Claims says who was verified, how and for what. Keep started.ID in the session of the browser that asked. Purpose and
// address come from the app's own session at the check too, never from a form. A wrong answer is watchword.ErrIncorrectAnswer, as
// errors.Is finds it; every refusal is a *watchword.Error with a Code.
//
// # Factors, pages and passkeys
//
// Strategies whose factors people enrol, such as otp/totp and webauthn, need Factors: store/sql/sqlite, store/sql/postgres, or tables of
// the app. An enrolment is a Start for watchword.PurposeEnrol; what a page shows of it is in Started.Public. A question that several
// methods may answer is Engine.StartVerification.
//
// server.MountPages adds the hosted pages of challenges and verifications, and the element for the app's own pages, to any mux.
// webauthn.NewHandler has the requests of pages that sign in with passkeys, and add and remove them; it is mounted in one line.
//
// # Running
//
// Engine.Ping tests stores, limits and senders: call it for the readiness of the program. Close the Service after what calls the
// Engine, such as the HTTP server, and before the stores: messages that wait in the process are then sent. Receipts that other services
// verify are signed by Service.Signer.
//
// With more than one process, use an Outbox of store/redis as Store, ratelimit/redis as LimitStore and delivery/redis as Counters:
//
//	client, err := redis.Open("redis://localhost:6379")
//	outbox, err := redis.NewOutbox(redis.New(client, redis.Config{}), redis.OutboxConfig{App: "shop"})
package service
