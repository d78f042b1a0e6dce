// Package postgres stores factors in PostgreSQL, for any number of nodes. It needs version 12 or later, and a role that may
// create two tables and an index.
package postgres

import (
	"context"
	databasesql "database/sql"
	"embed"
	"errors"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/watchword-auth/watchword/store/sql"
)

//go:embed migrations/*.sql
var migrations embed.FS

const maxConnections = 16

// clockExpression returns PostgreSQL's present time, also within a transaction, in milliseconds since 1970.
const clockExpression = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

// Open connects to postgres://user:password@host:port/database?sslmode=... (or another URL that libpq accepts) and migrates the
// schema. Errors contain no password.
func Open(ctx context.Context, url string) (*sql.Factors, error) {
	db, err := openPool(url)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return sql.New(db, db, clockExpression), nil
}

// CheckURL returns an error if a URL cannot be parsed. It opens no connection.
func CheckURL(url string) error {
	_, err := parseURL(url)
	return err
}

func parseURL(url string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		// The cause may contain the password.
		return nil, errors.New("store/sql/postgres: the database's URL cannot be parsed")
	}
	return cfg, nil
}

func openPool(url string) (*databasesql.DB, error) {
	cfg, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(configureConnection))
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	return db, nil
}

func migrate(ctx context.Context, db *databasesql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return sql.Migrate(ctx, db, goose.DialectPostgres, files, goose.WithSessionLocker(advisoryLock{}))
}

// advisoryLock implements goose's lock between nodes by an advisory lock of the database, which ends with its session. Unlike
// goose's own, it does not poll.
type advisoryLock struct{}

// migrationLockID is the key of the lock, a random number.
const migrationLockID = 5_719_203_466

// SessionLock waits for the lock.
func (advisoryLock) SessionLock(ctx context.Context, conn *databasesql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", migrationLockID)
	return err
}

// SessionUnlock releases the lock.
func (advisoryLock) SessionUnlock(ctx context.Context, conn *databasesql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", migrationLockID)
	return err
}

// configureConnection overrides settings of the server or the role that would break the contract of watchword.Factors: a change
// is durable when the method returns, and a statement sees all earlier commits.
func configureConnection(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT set_config('default_transaction_isolation', 'read committed', false),
		CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END`)
	return err
}
