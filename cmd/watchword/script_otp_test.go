package main

import (
	"strconv"
	"time"

	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
	"github.com/rogpeppe/go-internal/testscript"
)

// totpInScript: totp NAME SECRET now|next sets $NAME to the code that an authenticator app shows, or will show next. Both are
// accepted until the step after, so that a slow machine does no harm.
func totpInScript(ts *testscript.TestScript, _ bool, args []string) {
	at := time.Now()
	if args[2] == "next" {
		at = at.Add(30 * time.Second)
	}
	code, err := totp.GenerateCode(args[1], at)
	ts.Check(err)
	ts.Setenv(args[0], code)
}

// hotpInScript: hotp NAME SECRET COUNTER sets $NAME to a token's code.
func hotpInScript(ts *testscript.TestScript, _ bool, args []string) {
	counter, err := strconv.ParseUint(args[2], 10, 64)
	ts.Check(err)
	code, err := hotp.GenerateCode(args[1], counter)
	ts.Check(err)
	ts.Setenv(args[0], code)
}
