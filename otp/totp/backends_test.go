package totp

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/pgtest"
	"github.com/watchword-auth/watchword/store/memory"
	"github.com/watchword-auth/watchword/store/sql/postgres"
	"github.com/watchword-auth/watchword/store/sql/sqlite"
)

// The same tests on every store of factors.
func TestStrategiesOnEachStore(t *testing.T) {
	for _, kept := range []struct {
		in   string
		open func(testing.TB) watchword.Factors
	}{
		{"memory", func(testing.TB) watchword.Factors { return &memory.Factors{} }},
		{"sqlite", openSQLite},
		{"postgres", openPostgres},
	} {
		t.Run(kept.in, func(t *testing.T) {
			factors := kept.open(t)
			for n, test := range []struct {
				name string
				run  func(*testing.T, *kit)
			}{
				{"SpentForEver", testSpentCodesStayRefused}, {"OneApprovalForACode", testOneApprovalForACode}, {"Enrolments", testEnrolmentCreatesOneFactor},
				{"ForeignFactors", testFactorsOfOthersAreUnknown}, {"DisabledForGood", testHundredFailuresDisable}, {"ExchangedRows", testExchangedRowsAreUnreadable},
				{"RotationUnderLoad", testRotationUnderLoad},
			} {
				t.Run(test.name, func(t *testing.T) {
					test.run(t, newKit(t, func(_ *Config, c *watchword.Config) { c.Factors, c.App = factors, fmt.Sprint("shop", n) }))
				})
			}
		})
	}
}

// A closer is a store with a Close method.
type closer interface {
	watchword.Factors
	Close() error
}

func openSQLite(t testing.TB) watchword.Factors {
	f, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "watchword.db"))
	return opened(t, f, err)
}

func openPostgres(t testing.TB) watchword.Factors {
	f, err := postgres.Open(t.Context(), pgtest.Start(t).Database(t))
	return opened(t, f, err)
}

func opened(t testing.TB, f closer, err error) watchword.Factors {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}
