package main

import (
	"testing"

	"github.com/watchword-auth/watchword/internal/pgtest"
)

// Forty people enrol at the same time, over fewer connections to the database than a server would open. Nobody is refused.
func TestConcurrentEnrolmentsNeedFewConnections(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(t *testing.T) string{
		"behind PgBouncer": func(t *testing.T) string {
			s := pgtest.Start(t)
			return s.StartBouncer(t, "default_pool_size = 5")(s.Database(t))
		},
		"role of five connections": func(t *testing.T) string { return pgtest.Start(t).LimitedDatabase(t, 5) },
		"role of five connections behind PgBouncer": func(t *testing.T) string {
			s := pgtest.Start(t)
			return s.StartBouncer(t)(s.LimitedDatabase(t, 5))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, t.TempDir(), memoryURL, "--database", database(t))
			got := runConcurrently(40, func(int) string {
				if err := enrolTOTP(n, &person{strategy: "totp", subject: newSubject()}); err != nil {
					return err.Error()
				}
				return "enrolled"
			})
			if got["enrolled"] != 40 {
				t.Errorf("outcomes: %v\n%s", got, n.log)
			}
		})
	}
}
