package totp_test

import (
	"context"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/otp/totp"
)

// Import an authenticator app that was enrolled with another system.
func ExampleStrategy_Import() {
	engine := newEngine(time.Now) // with the keys, the app id and the database of the server
	devices, _ := totp.New(totp.Config{Issuer: "Shop"})
	ctx := context.Background()
	for range 2 { // importing again changes nothing
		factor, err := devices.Import(totp.ImportedDevice{Subject: "user_42", ID: "device-7", Label: "Phone",
			Secret: watchword.NewCode("gezd gnbv gy3t qojq gezd gnbv gy3t qojq")})
		if err != nil {
			fmt.Println(err)
			return
		}
		if err := engine.ImportFactor(ctx, factor, watchword.Authority{Admin: true}); err != nil {
			fmt.Println(err)
			return
		}
	}
	factors, _ := engine.ListFactors(ctx, "user_42")
	fmt.Println(len(factors), factors[0].Strategy, factors[0].Label)
	// Output: 1 totp Phone
}
