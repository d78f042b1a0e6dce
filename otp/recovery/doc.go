// Package recovery proves who somebody is by codes that were written down for the day when everything else is lost.
//
// # The ceremony
//
// A challenge of the purpose enrol shows ten codes, this once. Nothing is stored and an older set stays in force until
// the person types one of them back; that one is not used up by it. A subject has one set: a Factor whose id follows
// from app and subject, replaced by compare-and-set when a new set is confirmed. A set whose challenge was begun before
// the one in force was confirmed comes too late and replaces nothing.
//
// Each code works once. A right answer removes its digest from the factor, by compare-and-set and before the challenge is
// won, so of two nodes that are given the same code one accepts it.
//
// # What a code is
//
// Fifteen symbols of an alphabet of 23 that are not mistaken for one another (67.8 bits) and a check character, in four
// groups: 3WJT-9K4M-XCPD-27H9. The check character makes the weighted sum of all symbols a multiple of 23, with the
// weights 16, 15, ... 1, as ISBN-10 (ISO 2108) does with 11. Because 23 is prime and all weights differ, no single wrong
// symbol and no two symbols that changed places, neighbours or not, leave the sum right. WellFormed tells a typing error
// from a wrong code without asking anybody, and at no cost in tries.
//
// Spaces, hyphens and the case of letters do not matter. Nothing else is overlooked.
//
// # What is stored
//
// HMAC-SHA-256 of each unused code under a key that belongs to the set, and that key, inside of what the engine seals. So
// a thief of the database has nothing, and whoever opens a seal with a stolen keyring still faces 2^67 guesses a code.
package recovery
