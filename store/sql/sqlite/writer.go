package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// maxBatch is how many statements share a transaction at most.
const maxBatch = 128

// A writer lets the statements of many callers share transactions. SQLite has one writer at a time, and a commit waits
// for the disk; so whoever comes while one transaction is on its way to the disk goes with the next, together with
// everybody else who came. Nobody is answered before the commit.
type writer struct {
	db       *sql.DB
	conn     *sql.Conn            // the one connection, nil until it is needed; this and the next are run's alone
	prepared map[string]*sql.Stmt // on it
	queue    chan *job
	closing  chan struct{}
	closed   chan struct{}
}

// A job is a caller's statement, and what became of it once done is closed.
type job struct {
	ctx       context.Context
	statement string
	args      []any
	result    sql.Result
	err       error
	done      chan struct{}
}

// newWriter starts the goroutine that executes; Close ends it.
func newWriter(db *sql.DB) *writer {
	w := &writer{db: db, queue: make(chan *job), closing: make(chan struct{}), closed: make(chan struct{})}
	go w.run()
	return w
}

// ExecContext waits for the commit. A context that ends earlier leaves open what became of the statement, unless it was
// over before its turn came: then it is not executed.
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

// Close lets the transaction that is under way end. It must be called once.
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

// collect takes in who is waiting by now.
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

// execute runs the jobs in one transaction and answers their callers. If a statement fails nothing of it is kept, and
// each is given a transaction of its own, so that none fails for another's sake.
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

// setError notes why a job was not done, if that is not known yet.
func (j *job) setError(err error) {
	if j.err == nil {
		j.err = err
	}
}

// A statementError says that a statement failed, and not the transaction around it.
type statementError struct{ cause error }

func (e *statementError) Error() string { return e.cause.Error() }
func (e *statementError) Unwrap() error { return e.cause }

// runTransaction executes and commits. Jobs whose callers are gone are left out.
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

// begin starts a transaction. A connection on which that fails is given up for another one, next time.
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

// rollback ends what was not committed. Where it fails SQLite has done so already, or begin will notice.
func (w *writer) rollback(ctx context.Context) { _, _ = w.conn.ExecContext(ctx, "ROLLBACK") }

// prepare keeps statements, of which there are a few.
func (w *writer) prepare(ctx context.Context, statement string) (*sql.Stmt, error) {
	if known := w.prepared[statement]; known != nil {
		return known, nil
	}
	prepared, err := w.conn.PrepareContext(ctx, statement)
	if err == nil {
		w.prepared[statement] = prepared
	}
	return prepared, err
}

// closeConnection closes the connection, whatever state it is in, and what was prepared on it.
func (w *writer) closeConnection() (err error) {
	for _, p := range w.prepared {
		err = errors.Join(err, p.Close())
	}
	if w.conn != nil {
		_ = w.conn.Raw(func(any) error { return driver.ErrBadConn }) // so that the pool does not keep it
	}
	w.conn, w.prepared = nil, nil
	return err
}
