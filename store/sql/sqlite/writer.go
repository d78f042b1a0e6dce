package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// maxBatch is the maximum number of statements in a transaction.
const maxBatch = 128

// A writer executes statements of concurrent callers in shared transactions. SQLite has one writer at a time, and a commit waits
// for the disk. All statements that arrive during a commit are executed in the next transaction. A caller gets its result
// after the commit.
type writer struct {
	db       *sql.DB
	conn     *sql.Conn            // the only connection, nil until it is needed; used by run only
	prepared map[string]*sql.Stmt // on conn; used by run only
	queue    chan *job
	closing  chan struct{}
	closed   chan struct{}
}

// A job is a caller's statement. Its result is set when done is closed.
type job struct {
	ctx       context.Context
	statement string
	args      []any
	result    sql.Result
	err       error
	done      chan struct{}
}

// newWriter starts the goroutine that executes statements. Close ends it.
func newWriter(db *sql.DB) *writer {
	w := &writer{db: db, queue: make(chan *job), closing: make(chan struct{}), closed: make(chan struct{})}
	go w.run()
	return w
}

// ExecContext executes a statement and waits for the commit. If the context ends earlier, the statement may still be committed;
// it is not executed if the context has ended before its transaction begins.
func (w *writer) ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error) {
	j := &job{ctx: ctx, statement: statement, args: args, done: make(chan struct{})}
	select {
	case w.queue <- j:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-w.closing:
		return nil, sql.ErrConnDone
	}
	select {
	case <-j.done:
		return j.result, describeError(j.err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close waits for the running transaction and closes the pool. It must be called once.
func (w *writer) Close() error {
	close(w.closing)
	<-w.closed
	return errors.Join(w.closeConnection(), w.db.Close())
}

func (w *writer) run() {
	defer close(w.closed)
	for {
		select {
		case first := <-w.queue:
			w.execute(w.collect(first))
		case <-w.closing:
			return
		}
	}
}

// collect returns the first job and those that are waiting now.
func (w *writer) collect(first *job) []*job {
	jobs := []*job{first}
	for len(jobs) < maxBatch {
		select {
		case j := <-w.queue:
			jobs = append(jobs, j)
		default:
			return jobs
		}
	}
	return jobs
}

// execute runs the jobs in one transaction and ends them. If a statement fails, the transaction is rolled back and each job runs
// in its own transaction, so that one failing statement does not affect the others.
func (w *writer) execute(jobs []*job) {
	err := w.runTransaction(jobs)
	var failed *statementError
	if errors.As(err, &failed) && len(jobs) > 1 {
		for _, j := range jobs {
			j.setError(w.runTransaction([]*job{j}))
		}
	}
	for _, j := range jobs {
		if len(jobs) == 1 || failed == nil {
			j.setError(err)
		}
		close(j.done)
	}
}

// setError sets the error of a job that has none.
func (j *job) setError(err error) {
	if j.err == nil {
		j.err = err
	}
}

// A statementError is an error of a statement, and not of the transaction.
type statementError struct{ cause error }

// Error is the text of the cause.
func (e *statementError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e *statementError) Unwrap() error { return e.cause }

// runTransaction executes the jobs and commits. It skips jobs whose context has ended.
func (w *writer) runTransaction(jobs []*job) error {
	ctx := context.Background()
	if err := w.begin(ctx); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	for _, j := range jobs {
		if j.err = j.ctx.Err(); j.err != nil {
			continue
		}
		prepared, err := w.prepare(ctx, j.statement)
		if err == nil {
			j.result, err = prepared.ExecContext(ctx, j.args...)
		}
		if err != nil {
			w.rollback(ctx)
			return &statementError{err}
		}
	}
	if _, err := w.conn.ExecContext(ctx, "COMMIT"); err != nil {
		w.rollback(ctx)
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// begin starts a transaction. If that fails, the connection is closed, and the next call opens another.
func (w *writer) begin(ctx context.Context) (err error) {
	if w.conn == nil {
		w.prepared = map[string]*sql.Stmt{}
		if w.conn, err = w.db.Conn(ctx); err != nil {
			return err
		}
	}
	if _, err = w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		err = errors.Join(err, w.closeConnection())
	}
	return err
}

// rollback rolls the transaction back. An error is ignored: SQLite has rolled back already, or the next begin fails.
func (w *writer) rollback(ctx context.Context) { _, _ = w.conn.ExecContext(ctx, "ROLLBACK") }

// prepare returns a cached prepared statement. There are only a few different statements.
func (w *writer) prepare(ctx context.Context, statement string) (*sql.Stmt, error) {
	if cached := w.prepared[statement]; cached != nil {
		return cached, nil
	}
	prepared, err := w.conn.PrepareContext(ctx, statement)
	if err == nil {
		w.prepared[statement] = prepared
	}
	return prepared, err
}

// closeConnection closes the connection and its prepared statements.
func (w *writer) closeConnection() (err error) {
	for _, p := range w.prepared {
		err = errors.Join(err, p.Close())
	}
	if w.conn != nil {
		_ = w.conn.Raw(func(any) error { return driver.ErrBadConn }) // the pool then discards it
	}
	w.conn, w.prepared = nil, nil
	return err
}
