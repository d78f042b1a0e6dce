// Package server serves the engines of package watchword over HTTP: the API with its OpenAPI document, the hosted pages,
// the problem types and their pages, the public keys of receipts, health and readiness.
//
// One [Server] serves any number of apps. Each app has its own Engine, Signer and API keys:
//
//	s, err := server.New(server.Config{Apps: []server.App{{
//		Engine: engine, Signer: signer, PublicURL: "https://verify.example.com",
//		Keys: []server.APIKey{{SHA256: sha256.Sum256(key), Scopes: []string{server.ScopeChallenges}}},
//	}}})
//	srv := server.NewHTTPServer("127.0.0.1:8080", s, 4096)
//
// A Server is an http.Handler. A program with routes of its own mounts the Server among them; it uses http.StripPrefix if
// the public URLs have a path. Config.Mount adds the program's handlers to the Server, behind the same middleware.
//
// # How a request is processed
//
// ServeHTTP is the middleware of all requests. It sets the headers that every response has and, in development, rejects
// foreign hosts. It recovers panics of handlers. After the response it writes the request's log line and updates the
// metrics. Every request under /v1 belongs to an operation of the API. All operations follow the same steps: API key, body,
// idempotency, strict decoding, engine, response. The OpenAPI document is generated from the table of operations that also
// serves them, so the two cannot differ.
//
// The server translates the errors of the engine into problems (RFC 9457). An error that is not a *watchword.Error becomes
// the problem internal_error: its cause is logged and not returned. No response repeats values of the request that failed.
//
// The schemas and the document come from huma. Its request pipeline is not used: its validation errors contain the
// submitted values, and it decodes requests by reflection, which costs more than the rest of a check.
package server
