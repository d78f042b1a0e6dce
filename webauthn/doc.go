// Package webauthn proves that somebody has a security key or passkey (W3C Web Authentication Level 3), the one way that
// a look-alike site cannot pass on: the browser signs the origin that it really sees.
//
// A [Strategy] asks in three ways, and a [Policy] for each purpose says how strictly:
//
//   - the challenge names its subject, as a second factor or, with user verification, instead of a password: the options
//     list the subject's keys, and only those may answer;
//   - the challenge names nobody: any passkey that the authenticator can discover may answer, with user verification,
//     and the receipt's subject is the key's. The browser's autofill serves it too (conditional mediation);
//   - the purpose is enrol: a new key is made, beside those that the subject has.
//
// What Begin returns as Prompt.Public goes as it is into PublicKeyCredential.parseRequestOptionsFromJSON, or
// parseCreationOptionsFromJSON where a key is made, and the answer is what the credential's toJSON returns. [Script] is a
// module for browsers that does both, also in those that lack these methods and with password managers that get them wrong.
//
// # The ceremony
//
// Nothing is kept between asking and judging: the options are derived from the challenge. What is not a credential of either
// ceremony is refused by its text alone, and names the member ([Strategy.ReadAnswer]). Then the try is charged, so that an
// answer is judged once, right or wrong. Authenticator data, the signature and attestation statements are go-webauthn's; what it leaves to its caller is done here: origins are compared byte for byte, what this assertion
// says of the user counts and not what an earlier one said, a signature counter that does not grow and a changed backup
// eligibility meet the configured [Reaction], and a key's id names its factor, so that a key is registered once and found
// whoever it belongs to. The new counter and backup state are stored, by compare-and-set, before the challenge is won.
//
// A refusal never says why: an unknown key, another subject's, a wrong origin and a bad signature are one wrong answer. The
// reason goes to the log, by a name of its own, without the answer.
//
// # Who is unknown
//
// A subject without keys is asked like one who has some: the credential ids, their number, lengths and transports are
// derived from Config.Secret, so they are the same in every challenge and on every node. No answer to them is right.
//
// # What a receipt says
//
// Its amr (RFC 8176) has hwk, or swk if the key can leave its device; user, because presence is always required; fpt,
// pin and their like only if the authenticator itself names the method in this assertion (uvm); and mfa if it verified
// the user. Its extra says user_verified, backup_eligible, backed_up, aaguid and, where they hold, attested,
// transaction_signed and counter_regressed.
//
// A challenge with a transaction has the hash of all its entries in what the key signs: transaction_signed.
package webauthn
