package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"
)

func newTestWriter(t *testing.T) *writer {
	t.Helper()
	db, err := openPool(filepath.Join(t.TempDir(), "watchword.db"), 1, writerPragmas()...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE numbers (n INTEGER PRIMARY KEY) STRICT"); err != nil {
		t.Fatal(err)
	}
	return newWriter(db)
}

// count reads over the writer's connection while nothing is written.
func (w *writer) count(t *testing.T) (n int) {
	t.Helper()
	if _, err := w.ExecContext(t.Context(), "DELETE FROM numbers WHERE n < 0"); err != nil {
		t.Error(err)
	}
	if err := w.conn.QueryRowContext(t.Context(), "SELECT count(*) FROM numbers").Scan(&n); err != nil {
		t.Error(err)
	}
	return n
}

// Only the failing statement of a shared transaction returns an error.
func TestFailedStatementDoesNotFailOthersInTheBatch(t *testing.T) {
	w := newTestWriter(t)
	defer w.Close()
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			statement, ok := "INSERT INTO numbers VALUES ($1)", true
			switch n % 5 {
			case 1:
				statement, ok = "INSERT INTO nothing VALUES ($1)", false
			case 2:
				statement, ok = "INSERT INTO numbers VALUES ($1 || 'x')", false
			}
			result, err := w.ExecContext(t.Context(), statement, n)
			if (err == nil) != ok {
				t.Errorf("%s: %v", statement, err)
			}
			if err == nil {
				if changed, err := result.RowsAffected(); err != nil || changed != 1 {
					t.Errorf("%d rows, %v", changed, err)
				}
			}
		})
	}
	all.Wait()
	if n := w.count(t); n != 120 {
		t.Errorf("%d rows, want 120", n)
	}
}

// The writer replaces a connection on which a transaction cannot begin.
func TestWriterReplacesBrokenConnection(t *testing.T) {
	w := newTestWriter(t)
	defer w.Close()
	if n := w.count(t); n != 0 {
		t.Fatalf("%d rows", n)
	}
	if _, err := w.conn.ExecContext(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ExecContext(t.Context(), "INSERT INTO numbers VALUES (1)"); err == nil {
		t.Error("inside of somebody else's transaction something was committed")
	}
	if _, err := w.ExecContext(t.Context(), "INSERT INTO numbers VALUES (2)"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if n := w.count(t); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func TestWriterSkipsStatementsOfCanceledCallers(t *testing.T) {
	w := newTestWriter(t)
	defer w.Close()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		if _, err := w.ExecContext(gone, "INSERT INTO numbers VALUES (NULL)"); !errors.Is(err, context.Canceled) {
			t.Errorf("gone: %v", err)
		}
	}
	if n := w.count(t); n != 0 {
		t.Errorf("%d rows for callers who were gone", n)
	}
}

func TestClosedWriterRefusesStatements(t *testing.T) {
	w := newTestWriter(t)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for {
				if _, err := w.ExecContext(t.Context(), "INSERT INTO numbers VALUES (NULL)"); err != nil {
					if !errors.Is(err, sql.ErrConnDone) {
						t.Errorf("closed: %v", err)
					}
					return
				}
			}
		})
	}
	if _, err := w.ExecContext(t.Context(), "INSERT INTO numbers VALUES (NULL)"); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	all.Wait()
}
