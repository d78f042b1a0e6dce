package enginetest_test

import (
	"flag"
	"os"
	"testing"
)

// Most parallel tests wait for time to pass, so more of them may run than there are processors.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
