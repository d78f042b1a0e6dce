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
// A code passes if its step is the one in the centre of the window or at most one away (Config.Exact: the present step
// alone). The centre is the present step by our own clock, and it moves on agreeing evidence alone: when two consecutive
// accepted codes have the same offset from the step that was present, both a step late say, the centre moves to that
// offset for the codes that come after them. So the centre moves by one step at most for two codes, never by one code, and
// no further than ten steps either way; the window has three steps wherever it is, and within one step of our clock no
// more than three codes pass. An accepted code at another offset begins anew; two at the offset 0 bring the centre back. The
// consequence: a device that is a step late is asked for codes that are right, one step either way, by its own clock, and
// so a code that is two steps old by ours passes for this one device.
//
// A code further away is refused and does not move the window. After two consecutive ones that are off by the same number
// of steps, Verify adds ClockOffset to its refusal, so that a person can be told to set the clock. Both are wrong answers and
// cost a try; one alone says nothing, because one could be a guess. When a device that had been followed was set right, and
// two consecutive codes at one offset are refused that are within one step of our own clock, the centre goes back to the
// present step, and the next code passes.
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
