package sqlite

import (
	"context"
	"database/sql"
	"errors"
)

// fileLock is goose's lock between processes: an exclusive transaction on an empty database of its own. The operating
// system ends it with its process, so that a crash leaves nothing behind to wait for.
type fileLock struct {
	path string
	db   *sql.DB
	conn *sql.Conn
}

// lockTimeout is how many milliseconds a process waits for another one's migrations.
const lockTimeout = "busy_timeout(60000)"

// Lock waits for its turn.
func (l *fileLock) Lock(ctx context.Context, _ *sql.DB) (err error) {
	if err := createFile(l.path); err != nil {
		return err
	}
	if l.db, err = openPool(l.path, 1, lockTimeout); err != nil {
		return err
	}
	if l.conn, err = l.db.Conn(ctx); err == nil {
		_, err = l.conn.ExecContext(ctx, "BEGIN EXCLUSIVE")
	}
	if err != nil {
		return errors.Join(err, l.db.Close())
	}
	return nil
}

// Unlock ends the transaction.
func (l *fileLock) Unlock(ctx context.Context, _ *sql.DB) error {
	_, err := l.conn.ExecContext(ctx, "ROLLBACK")
	return errors.Join(err, l.conn.Close(), l.db.Close())
}
