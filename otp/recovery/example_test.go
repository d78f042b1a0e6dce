package recovery_test

import (
	"fmt"

	"github.com/watchword-auth/watchword/otp/recovery"
)

// A form can report a typing error at no cost in tries.
func ExampleWellFormed() {
	for _, typed := range []string{"3WJT-9K4M-XCPD-27H9", "3wjt 9k4m xcpd 27h9", "3WJT-9K4M-XCPD-72H9", "3WJT-9K4M-XCPD-27H"} {
		fmt.Println(typed, recovery.WellFormed(typed))
	}
	// Output:
	// 3WJT-9K4M-XCPD-27H9 true
	// 3wjt 9k4m xcpd 27h9 true
	// 3WJT-9K4M-XCPD-72H9 false
	// 3WJT-9K4M-XCPD-27H false
}
