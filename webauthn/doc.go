// Package webauthn implements the strategy "webauthn": security keys and passkeys (W3C Web Authentication Level 3). An answer
// cannot be relayed by a phishing site, because the browser includes the origin of the page in what the key signs.
//
// A [Strategy] supports three kinds of challenges. A [Policy] for each purpose says how strict they are.
//
//   - The challenge has a subject. The options list the subject's keys, and only those may answer. This is a second factor
//     or, with user verification, a replacement of the password.
//   - The challenge has no subject. Any discoverable credential may answer, with user verification, and the receipt names
//     the subject that the key belongs to. This also serves the browser's autofill (conditional mediation).
//   - The purpose is enrol. The options ask for a new key and exclude the keys that the subject already has.
//
// In the browser, pass Prompt.Public of Begin to PublicKeyCredential.parseRequestOptionsFromJSON, and that of BeginEnrol to
// PublicKeyCredential.parseCreationOptionsFromJSON. The answer is the result of the credential's toJSON. The JavaScript
// module that [Script] serves does all this. It also works in browsers without these methods, and with password managers
// that implement them incorrectly.
//
// NewHandler has the requests of an app's own pages: signing in with a passkey, and adding and removing passkeys.
//
// # Verification
//
// The strategy keeps no state between Begin and Verify: the options are derived from the challenge. [Strategy.ReadAnswer]
// refuses a malformed credential and names its member, without reading a store. Only after that does the engine charge a
// try and call Verify. So each verified answer costs a try, right or wrong.
//
// The library go-webauthn parses authenticator data and verifies signatures and attestation statements. This package adds:
//
//   - Origins are compared byte for byte.
//   - User verification is taken from this assertion, not from an earlier one.
//   - A signature counter that does not increase, and a changed backup eligibility, cause the configured [Reaction].
//   - A key can be registered once in an app, because the factor's id is derived from the credential id.
//   - The new counter and backup state are stored, by compare-and-set, before the challenge is approved.
//
// The caller does not learn why an answer was refused: an unknown key, a key of another subject, a wrong origin and a bad
// signature are the same error. The reason is logged as one word, without any part of the answer.
//
// # Subjects without keys
//
// A challenge for a subject without keys lists decoys. Their ids, number, lengths and transports are derived from
// Config.Secret, so they are the same in every challenge and on every node. No answer to such a challenge is right.
//
// # Receipts
//
// The receipt's amr (RFC 8176) contains
//
//   - hwk, or swk if the key can leave its device;
//   - user, because user presence is always required;
//   - fpt, pin or another method, if the authenticator reports it in this assertion (extension uvm);
//   - mfa, if the authenticator verified the user.
//
// The receipt's extra contains user_verified, backup_eligible, backed_up and aaguid, and, if they are true, attested,
// transaction_signed, counter_regressed and backup_eligibility_changed. A challenge with a transaction includes the hash of
// all its entries in what the key signs (transaction_signed).
package webauthn
