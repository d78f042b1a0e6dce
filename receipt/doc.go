// Package receipt is the JWT form of a receipt: how it is signed, how its keys are kept and published, and how an app
// checks one without asking anybody.
//
// A receipt says that a challenge was answered: by whom, for what purpose, how and when. Here it is a JWT (RFC 7519) of
// three header parameters and no more (alg, kid and typ, which is always Type), whose payload is the JSON of
// watchword.Claims. It lives for ten minutes at most.
//
// On the serving side a Signer signs with the first of its keys and verifies with all of them:
//
//	current, err := receipt.ParseKey("2026-11", pem)
//	signer, err := receipt.NewSigner(receipt.SignerConfig{Keys: []receipt.Key{current, next, previous}})
//
// It implements watchword.Signer. Its JWKS has the public half of every key, those of keys that do not sign yet too,
// so that apps know a key before they meet it. To rotate: add the new key behind the first, wait until every app has
// seen it (an hour, see Verifier), move it to the front, and remove the old one ten minutes later.
//
// On the app's side a Verifier knows the issuer, gets the public keys from it now and then, and compares what a receipt
// says with what the app expects:
//
//	claims, err := verifier.Verify(ctx, token, receipt.Expect{
//		Purpose: "sign_in", Audience: "shop", Subject: "user_42", Nonce: session.Nonce,
//	})
//
// A Verifier keeps no record of what it has seen: whoever holds a receipt can show it again until it expires. To use it
// once only, redeem it at the server (POST /v1/receipts/redeem) or bind it with a nonce to something that the app itself
// uses once.
//
// The algorithm belongs to the key, never to the token: EdDSA for Ed25519 keys (the default), ES256 for P-256 keys
// (for apps whose JWT library has no EdDSA). The advice of RFC 8725 is followed throughout.
package receipt
