package pgtest

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// limitedRole is the role of LimitedDatabase. PgBouncer knows it too.
const limitedRole = "limited"

// LimitedDatabase is Database for a role that owns the database and may have a few connections to the server at a time. All
// such databases of a server have the same role.
func (s *Server) LimitedDatabase(t testing.TB, connections int) string {
	t.Helper()
	u, err := url.Parse(s.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = s.exec(s.url, "CREATE ROLE "+limitedRole+" LOGIN") // fails if it exists
	for _, statement := range []string{
		fmt.Sprintf("ALTER ROLE %s CONNECTION LIMIT %d", limitedRole, connections),
		"ALTER DATABASE " + strings.TrimPrefix(u.Path, "/") + " OWNER TO " + limitedRole,
	} {
		if _, err := s.exec(s.url, statement); err != nil {
			t.Fatal(err)
		}
	}
	u.User = url.User(limitedRole)
	return u.String()
}

// Alter executes a statement in a database as the superuser, and ends the database's other sessions, which may have older settings.
func (s *Server) Alter(t testing.TB, databaseURL, statement string) {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	admin := *s.url
	admin.Path = u.Path
	for _, statement := range []string{statement, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"} {
		if _, err := s.exec(&admin, statement); err != nil {
			t.Error(err)
		}
	}
}
