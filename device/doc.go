// Package device implements the strategy "device": browsers that stay trusted after a verification, so that the app does not ask for a
// second step at each sign-in.
//
// A trusted device is a token in a cookie of the app. It proves that somebody has this cookie, and nothing more. A start that presents
// a valid token is approved for the purposes in watchword.Config.TrustedDevices, and its client counts as trusted for limits.
//
// Each use answers with a successor of the token. All uses of one token answer with the same successor, so parallel tabs and requests
// that are repeated after a lost response end with the same cookie. A token stays valid until its successor is first presented, and a
// minute more. After that its use removes the device, because two browsers have copies of the cookie then.
//
// Tokens have 256 random bits from a PRF under the keyring. The factor holds their digests.
package device
