package postgres

import (
	"database/sql"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/pgtest"
	"github.com/watchword-auth/watchword/store/factorstest"
)

// The script that deploy/compose.yaml has PostgreSQL run makes a role that is enough for the server and is no superuser, and takes the
// superuser's password away.
func testRoleOfCompose(t *testing.T, server *pgtest.Server) {
	psql, err := exec.LookPath("psql")
	if err != nil || !server.CanCrash() {
		t.Skip("psql is not installed (Debian, Ubuntu: apt-get install postgresql-client), or the server is not of this test")
	}
	u, err := url.Parse(server.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	admin, database := u.String(), strings.TrimPrefix(u.Path, "/")
	server.Alter(t, admin, "CREATE ROLE compose_admin SUPERUSER LOGIN PASSWORD 'secret'")
	script, err := os.ReadFile("../../../deploy/postgres-roles.sh")
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("it's a secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("/run/secrets/database_password", secret, "DATABASE watchword ", "DATABASE "+database+" ").Replace(string(script))
	cmd := exec.CommandContext(t.Context(), "sh", "-c", text)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(psql)+":"+os.Getenv("PATH"), "POSTGRES_USER=compose_admin", "POSTGRES_DB="+database,
		"PGHOST="+u.Query().Get("host"), "PGPORT="+u.Query().Get("port"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	db, err := sql.Open("pgx", admin)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var powers, passwords int
	const query = `SELECT count(*) FILTER (WHERE rolname = 'watchword' AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)),
		count(*) FILTER (WHERE rolname = 'compose_admin' AND rolpassword IS NOT NULL) FROM pg_authid`
	if err := db.QueryRowContext(t.Context(), query).Scan(&powers, &passwords); err != nil || powers != 0 || passwords != 0 {
		t.Errorf("the server's role has more rights than it needs (%d), or the superuser a password (%d): %v", powers, passwords, err)
	}
	u.User = url.User("watchword")
	f := openURL(t, u.String()) // makes the tables
	factorstest.Run(t, func(*testing.T) watchword.Factors { return f })
}
