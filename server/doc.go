// Package server puts engines on HTTP: the API and its OpenAPI document, problems and the pages that explain
// them, receipts' public keys, health and readiness.
//
// One Server serves any number of apps, each with an Engine, a Signer and API keys of its own:
//
//	s, err := server.New(server.Config{Apps: []server.App{{
//		Engine: engine, Signer: signer, PublicURL: "https://verify.example.com",
//		Keys: []server.APIKey{{SHA256: sha256.Sum256(key), Scopes: []string{server.ScopeChallenges}}},
//	}}})
//	srv := server.HTTPServer("127.0.0.1:8080", s)
//
// It is an http.Handler, so a program that has routes of its own mounts it among them (http.StripPrefix, if the public
// URLs have a path), and one that wants its handlers behind the server's own door mounts them in it (Config.Mount).
//
// # How a request goes through
//
// ServeHTTP is the door. It sets the headers that every answer has, refuses foreign hosts in development, and when the
// answer is out it recovers panics, writes the request's log line and counts it. Behind the door a ServeMux knows the
// paths. Everything under /v1 is an operation: a line with its method, path, scope, the Go types of its request and
// answer, and the function that calls the engine. All operations go the same way: key, body, idempotency, strict
// decoding, engine, answer; and the same lines make the OpenAPI document, so neither can be changed without the other.
//
// Errors are made by the engine and translated once, in problem.go. What is no *watchword.Error is an internal_error,
// whose cause the log learns and the caller does not. No answer ever repeats what the request said.
//
// The schemas and the document come from huma. Its request pipeline is not used: its validation errors hold the
// submitted values, and it decodes, looks up parameters and negotiates formats by reflection on each request, which
// costs more than all the rest of a check.
package server
