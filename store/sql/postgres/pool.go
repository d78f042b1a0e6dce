package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/watchword-auth/watchword/internal/outbound"
)

// SQLSTATE codes (PostgreSQL, Appendix A) of statements that were not executed and can be executed again.
const (
	serializationFailure = "40001" // a change of another session met one of a session with a stronger isolation level
	tooManyConnections   = "53300" // of the role, the database or the server
)

// retryInterval is the wait before a statement is executed again.
const retryInterval = 20 * time.Millisecond

// smallTime is how long a pool stays as small as the server made it.
const smallTime = 30 * time.Second

// A pool executes single statements, each on any of its connections.
type pool struct {
	*sql.DB
	size int // maximum number of connections

	mu    sync.Mutex
	live  int  // connections that the server has given and that are not closed
	most  int  // the most that it has given at a time
	small bool // it gave fewer than size; grow ends it
}

// durably follows a statement that changes rows. The commit then waits for the disk, although synchronous_commit may be off for
// the server, the database or the role. The setting ends with the transaction. Stronger settings are kept.
const durably = ` RETURNING CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END`

// ExecContext executes an INSERT, UPDATE or DELETE.
func (p *pool) ExecContext(ctx context.Context, statement string, args ...any) (result sql.Result, err error) {
	err = p.repeat(ctx, func() error {
		result, err = p.DB.ExecContext(ctx, statement+durably, args...)
		return err
	})
	return result, err
}

// QueryContext executes a query.
func (p *pool) QueryContext(ctx context.Context, query string, args ...any) (rows *sql.Rows, err error) {
	err = p.repeat(ctx, func() error {
		rows, err = p.DB.QueryContext(ctx, query, args...)
		return err
	})
	return rows, err
}

// connect waits until there is a connection.
func (p *pool) connect(ctx context.Context) error {
	return p.repeat(ctx, func() error { return p.PingContext(ctx) })
}

// repeat executes a statement until the server has executed it, or the context ends. So a server that gives fewer connections
// than the pool has makes statements wait for the connections that there are.
func (p *pool) repeat(ctx context.Context, execute func() error) error {
	var refused error
	for {
		err := execute()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil && refused != nil:
			return refused
		case err == context.DeadlineExceeded: // unwrapped, it is from the wait for a connection
			return outbound.Failure(fmt.Sprintf("no free connection in time: all %d of the pool are in use", p.Stats().MaxOpenConnections))
		case !wasNotExecuted(err):
			return err
		}
		refused = err
		if isTooManyConnections(err) {
			p.shrink()
		}
		select {
		case <-ctx.Done():
			return refused
		case <-time.After(retryInterval):
		}
	}
}

// countConnection counts a new connection until it is closed. database/sql also counts those that it is still opening.
func (p *pool) countConnection(_ context.Context, c *pgx.Conn) error {
	p.addLive(1)
	go func() {
		<-c.PgConn().CleanupDone()
		p.addLive(-1)
	}()
	return nil
}

func (p *pool) addLive(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live += n
	if p.live > p.most {
		p.most = p.live
		if p.small {
			p.SetMaxOpenConns(p.most)
		}
	}
}

// shrink makes statements wait for as many connections as the server has given so far, instead of asking it for others again and
// again. It closes none.
func (p *pool) shrink() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.SetMaxOpenConns(max(p.most, 1))
	if !p.small {
		p.small = true
		time.AfterFunc(smallTime, p.grow)
	}
}

// grow ends shrink, because the server may give more by now.
func (p *pool) grow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.small = false
	p.setSize()
}

// setSize allows all connections of the pool.
func (p *pool) setSize() {
	p.SetMaxOpenConns(p.size)
	p.SetMaxIdleConns(p.size)
}

// wasNotExecuted reports whether the server refused a statement without an effect and may execute it later.
func wasNotExecuted(err error) bool {
	var reply *pgconn.PgError
	return errors.As(err, &reply) && (reply.Code == serializationFailure || reply.Code == tooManyConnections)
}

func isTooManyConnections(err error) bool {
	var reply *pgconn.PgError
	return errors.As(err, &reply) && reply.Code == tooManyConnections
}
