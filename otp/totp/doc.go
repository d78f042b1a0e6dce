// Package totp proves possession of what makes one-time codes: an authenticator app (TOTP, RFC 6238) or a token with a
// button (HOTP, RFC 4226). New makes the strategy "totp", NewHOTP the strategy "hotp".
//
// # Enrolling
//
// A challenge of the purpose enrol shows a secret: as base32 to type, as an otpauth:// URI, and as the same URI in a QR
// code. The secret is derived from the challenge, so nothing is stored until the person proves by a first code that
// the app has it; an enrolment that is abandoned leaves nothing behind. The account that the app shows is the
// challenge's metadata "account" (an e-mail address, say), or else its subject. A subject may enrol several devices.
//
// # Checking
//
// A code is compared with every device of the subject that may be used, or with the one that the challenge names. What
// passes is spent: the factor remembers the step (or counter) and only a later one passes from then on, the step of the
// enrolling code included. The engine stores that by compare-and-set before the challenge is won, so of two nodes that
// are given the same code one accepts it.
//
// # Clocks
//
// A code passes within one step of the present one, or of Config.Exact only then. The step of each accepted code says
// how far the device's clock is off; the window of three steps moves there, up to ten steps, and never grows. A device
// that was set right meanwhile fails once, by a code that is right by our own clock, and the window moves back.
// A device that is further off fails; after two codes in a row that are off by the same number of steps, Verify adds
// ClockOffset to its refusal, so that a person can be told to set the clock. Both codes are wrong answers and cost a
// try; one alone says nothing, because one could be a guess.
//
// # Counters
//
// A token whose button was pressed in vain is ahead. The next three counters pass; a code of the seven behind them is
// refused and remembered, and the code that follows it directly passes.
//
// # Input
//
// A code is as many ASCII digits as the factor has, exactly. Nothing is trimmed and no other spelling of a spent code
// is a new code.
package totp
