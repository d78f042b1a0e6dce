package postgres

import (
	"context"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/pgtest"
	"github.com/watchword-auth/watchword/store/factorstest"
)

const guide = "../../../docs/deploy.md"

// documentedGrants returns the statements that docs/deploy.md gives for a role that does not own the tables.
func documentedGrants(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sql\nREVOKE ALL ON SCHEMA.*?```").FindString(string(text))
	grants := regexp.MustCompile(`(?m)^(REVOKE|GRANT) .*;$`).FindAllString(block, -1)
	if len(grants) < 5 {
		t.Fatalf("%s has the grants %q", guide, grants)
	}
	return grants
}

// singleRights splits a GRANT of several privileges into one for each.
func singleRights(grant string) (single []string) {
	privileges, on, _ := strings.Cut(strings.TrimPrefix(grant, "GRANT "), " ON ")
	for _, privilege := range strings.Split(privileges, ", ") {
		single = append(single, privilege+" ON "+on)
	}
	return single
}

// The documented rights are enough for a role that does not own the tables, and none is too many: without any of them the server is not
// ready or does not start.
func testDocumentedGrants(t *testing.T, server *pgtest.Server) {
	owned := server.Database(t)
	u, err := url.Parse(owned)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	role := name + "_role"
	forHere := strings.NewReplacer("DATABASE watchword ", "DATABASE "+name+" ", "TO watchword;", "TO "+role+";")
	openURL(t, owned) // as the owner, who makes the tables
	server.Alter(t, owned, "REVOKE ALL ON DATABASE "+name+" FROM PUBLIC")
	server.Alter(t, owned, "CREATE ROLE "+role+" LOGIN")
	t.Cleanup(func() {
		server.Alter(t, owned, "DROP OWNED BY "+role)
		server.Alter(t, owned, "DROP ROLE "+role)
	})
	var rights []string
	for _, grant := range documentedGrants(t) {
		grant = forHere.Replace(grant)
		server.Alter(t, owned, grant)
		if strings.HasPrefix(grant, "GRANT") {
			rights = append(rights, singleRights(grant)...)
		}
	}
	u.User = url.User(role)
	f := openURL(t, u.String())
	factorstest.Run(t, func(*testing.T) watchword.Factors { return f })
	works := func() error {
		again, err := open(t.Context(), u.String(), patience)
		if err != nil {
			return err
		}
		defer func() { _ = again.Close() }()
		return again.Ping(t.Context())
	}
	await := func(right, want string) {
		t.Helper()
		var err error
		for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
			if err = works(); (err == nil) == (want == "") && (err == nil || strings.Contains(err.Error(), want)) {
				return
			}
		}
		t.Errorf("%s: %v, want %q", right, err, want)
	}
	await("with all rights", "")
	for _, right := range rights {
		server.Alter(t, owned, "REVOKE "+strings.Replace(strings.TrimSuffix(right, ";"), " TO ", " FROM ", 1))
		cause := "user has no right to the table"
		if strings.Contains(right, "ON SCHEMA") {
			cause = "table is missing" // it cannot be seen
		}
		await("without "+right, cause)
		if !strings.Contains(right, "watchword_migrations") {
			awaitRed(t, f, cause)
		}
		server.Alter(t, owned, "GRANT "+right)
		await("with "+right+" again", "")
	}
}

// awaitRed waits until the readiness of a running server fails.
func awaitRed(t *testing.T, f *Factors, cause string) {
	t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := f.Ping(ctx)
		cancel()
		if err != nil && strings.Contains(err.Error(), cause) {
			return
		}
	}
	t.Errorf("Ping does not say %q", cause)
}
