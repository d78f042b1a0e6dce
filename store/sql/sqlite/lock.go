package sqlite

import (
	"context"
	"database/sql"
	"errors"
)

// fileLock implements goose's lock between processes by an exclusive transaction on a second, empty database. The operating
// system releases it when the process ends, also by a crash.
type fileLock struct {
	path string
	db   *sql.DB
	conn *sql.Conn
}

// lockTimeout is the pragma for how long a process waits for another one's migrations, in milliseconds.
const lockTimeout = "busy_timeout(60000)"

// Lock waits for the lock.
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

// Unlock releases the lock.
func (l *fileLock) Unlock(ctx context.Context, _ *sql.DB) error {
	_, err := l.conn.ExecContext(ctx, "ROLLBACK")
	return errors.Join(err, l.conn.Close(), l.db.Close())
}
