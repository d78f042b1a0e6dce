// Package service starts a watchword engine, and what works beside it, from one Config: the worker that sends messages, limits, the
// breaker against SMS pumping, and events. It is for Go programs that call the engine themselves. Programs in other languages use the
// server (cmd/watchword).
//
// You open what the app uses, and so link nothing else:
//
//	keys, err := service.LoadKeys("keys")       // watchword keys new --dir keys
//	mail, err := delivery.Openers{"smtps": smtp.Open}.Open(ctx, "smtps://user:password@smtp.example.com", delivery.Environment{})
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
// result.Claims says who was verified, how and for what. Keep started.ID in the session of the browser that asked. A question that
// several methods may answer is Engine.StartVerification. The hosted pages of both are mounted by server.MountPages, and the script
// with which a page uses passkeys is webauthn.Script.
//
// With more than one process, use an Outbox of store/redis as Store, ratelimit/redis as LimitStore and delivery/redis as Counters:
//
//	client, err := redis.Open("redis://localhost:6379")
//	outbox, err := redis.NewOutbox(redis.New(client, redis.Config{}), redis.OutboxConfig{App: "shop"})
package service
