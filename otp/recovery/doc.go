// Package recovery implements the strategy "recovery": one-time codes that a person keeps for the case that all other factors
// are lost.
//
// # Enrolment
//
// A challenge with the purpose enrol returns ten codes. They are shown only once. Nothing is stored, and an older set stays
// valid, until the person types back one of the codes, which stays unused. A subject has one set: a factor whose id is
// derived from app and subject. A confirmed set replaces the previous one by compare-and-set. If another set was confirmed
// after the challenge began, the challenge's set is refused.
//
// # Verification
//
// Each code is accepted once. A right answer removes the code's digest from the factor, by compare-and-set, before the challenge
// is approved, so if two nodes receive the same code, one accepts it.
//
// # Format of a code
//
// A code has fifteen random symbols of an alphabet of 23 without symbols that look alike (67.8 bits) and a check character, in
// four groups: 3WJT-9K4M-XCPD-27H9. The check character makes the weighted sum of all symbols, with the weights 16, 15, ... 1,
// a multiple of 23, like the check digit of ISBN-10 (ISO 2108). Because 23 is prime and the weights differ, it detects every
// single wrong symbol and every transposition of two symbols. WellFormed detects such typing errors without a request, so
// they cost no try. Spaces, hyphens and the case of letters do not matter.
//
// # Storage
//
// The factor's data, which the engine seals, holds a random key of the set and the HMAC-SHA-256 of each unused code under that
// key. An attacker with read access to the database learns no code. An attacker who can also decrypt the data still needs
// about 2^67 guesses for a code.
package recovery
