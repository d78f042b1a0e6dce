// Package receipt signs receipts as JWTs, publishes their public keys, and verifies receipts offline.
//
// A receipt states that a challenge was answered: by whom, for what purpose, how and when. It is a JWT (RFC 7519) with exactly
// three header parameters (alg, kid and typ, which is always Type). The payload is the JSON of watchword.Claims. A receipt
// is valid for ten minutes at most.
//
// # Signing
//
// A Signer implements watchword.Signer. It signs with the first of its keys and verifies with all of them:
//
//	current, err := receipt.ParseKey("2026-11", pem)
//	signer, err := receipt.NewSigner(receipt.SignerConfig{Keys: []receipt.Key{current, next, previous}})
//
// Signer.JWKS has the public keys of all of them, so that apps know a key before it signs. To rotate keys, add the new key
// after the first, wait until every app has fetched it (an hour, see Verifier), move it to the front, and remove the old key
// ten minutes later.
//
// # Verifying
//
// A Verifier fetches the issuer's public keys, verifies a receipt and compares its claims with what the app expects:
//
//	claims, err := verifier.Verify(ctx, token, receipt.Expect{
//		Purpose: "sign_in", Audience: "shop", Subject: "user_42", Nonce: session.Nonce,
//	})
//
// A Verifier keeps no record of receipts, so a receipt can be presented again until it expires. To accept it only once, redeem
// it at the server (POST /v1/receipts/redeem), or bind it by a nonce to something that the app uses once.
//
// The algorithm is a property of the key, never of the token: EdDSA for Ed25519 keys (the default), and ES256 for P-256 keys,
// for apps whose JWT library has no EdDSA. The package follows RFC 8725.
package receipt
