package sqlite

import (
	"context"
	"database/sql"
	"errors"
)

// A fileLock is a lock between processes: an exclusive transaction on a second, empty database. The operating system releases it
// when the process ends, also by a crash.
type fileLock struct {
	db   *sql.DB
	conn *sql.Conn
}

// lockTimeout is the pragma for how long a process waits for another one's migrations, in milliseconds.
const lockTimeout = "busy_timeout(60000)"

// takeLock waits for the lock.
func takeLock(ctx context.Context, path string) (*fileLock, error) {
	if err := createFile(path); err != nil {
		return nil, err
	}
	db, err := openPool(path, 1, lockTimeout)
	if err != nil {
		return nil, err
	}
	conn, err := db.Conn(ctx)
	if err == nil {
		_, err = conn.ExecContext(ctx, "BEGIN EXCLUSIVE")
	}
	if err != nil {
		return nil, errors.Join(describeError(err), db.Close())
	}
	return &fileLock{db, conn}, nil
}

// release ends the transaction, also if the context has ended.
func (l *fileLock) release(ctx context.Context) error {
	_, err := l.conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	return errors.Join(err, l.conn.Close(), l.db.Close())
}
