// Package totp implements the strategies "totp" and "hotp": one-time codes of an authenticator app (TOTP, RFC 6238) and of a
// hardware token with a counter (HOTP, RFC 4226). New returns the strategy "totp", NewHOTP the strategy "hotp".
//
// # Enrolment
//
// A challenge with the purpose enrol returns a secret: in base32 for typing, as an otpauth:// URI, and as a QR code of that
// URI. The secret is derived from the challenge, so nothing is stored until the person proves by a first code that the app
// has it. The account name that the app shows is the challenge's metadata "account", or the subject if there is none. A
// subject may enrol several devices.
//
// # Verification
//
// A code is compared with every usable device of the subject, or with the one that the challenge names. An accepted code is
// spent: the factor stores its step (or counter), and only later ones are accepted from then on. The code of the enrolment is
// spent too. The engine stores this by compare-and-set before the challenge is approved, so if two nodes receive the same
// code, one accepts it.
//
// # Clock drift
//
// The strategy accepts the codes of a window of three steps: its centre and one step on either side. With Config.Exact it
// accepts the present step only. At first the centre is the present step by the server's clock. It follows the device:
//
//   - When two consecutive accepted codes have the same offset from the present step, the centre moves to that offset, for
//     later codes. Two codes move it by one step at most, and it is never more than ten steps from the present step.
//   - An accepted code with another offset starts a new pair. Two accepted codes with the offset 0 move the centre back.
//   - Within one step of the server's clock at most three codes are accepted.
//
// So if a device's clock is one step late, a code that is two steps old by the server's clock can be accepted for this device.
//
// A code outside the window is refused and does not move the window. After two consecutive refused codes with the same offset,
// within ten steps, Verify adds ClockOffset to the refused proof, so that the app can ask the person to set the clock. Both
// codes are wrong answers and cost a try. A single code reports nothing, because it may be a guess. If the centre has moved
// and two consecutive refused codes with the same offset are within one step of the server's clock, the centre moves back to
// the present step.
//
// # Counters
//
// A hardware token is ahead of the server if its button was pressed without using the code. The codes of the next three
// counters are accepted. A code of the seven counters after them is refused and remembered; if the next answer is the code
// that directly follows it, that code is accepted.
//
// # Format of answers
//
// A code has exactly as many digits as the factor. The engine normalizes what people type before the strategy sees it, so
// another spelling of a spent code is refused as well.
package totp
