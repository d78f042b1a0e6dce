// Package postgres stores factors in PostgreSQL, for any number of nodes. It needs version 12 or later, and a role that may
// create two tables and their indexes.
//
// It keeps nothing in a session: it prepares no statements, takes no session locks and changes no settings beyond a statement. So
// it works behind a connection pooler that gives each transaction another connection, such as PgBouncer with
// pool_mode = transaction.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/watchword-auth/watchword/store/sql"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	defaultConnections = 16
	maxConnections     = 1000
	// idleTime is how long an unused connection is kept. Other nodes may need it.
	idleTime = time.Minute
	// statementTimeout is how long a statement may take, the wait for a connection included.
	statementTimeout = 5 * time.Second
)

// connectionsParameter is the parameter of a URL with the size of the pool. pgx's own pool has the same.
const connectionsParameter = "pool_max_conns"

// clockExpression returns PostgreSQL's present time, also within a transaction, in milliseconds since 1970.
const clockExpression = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

// Open connects to postgres://user:password@host:port/database?sslmode=... (or another URL that libpq accepts) and migrates the
// schema. The parameter pool_max_conns is the maximum number of connections, 16 by default. Errors contain no password.
func Open(ctx context.Context, url string) (*Factors, error) {
	return open(ctx, url, statementTimeout)
}

// open is Open with a limit for each statement and each new connection.
func open(ctx context.Context, url string, timeout time.Duration) (*Factors, error) {
	db, err := openPool(url, timeout)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Factors{sql.New(db, db, clockExpression, timeout), db}, nil
}

// CheckURL returns an error if a URL cannot be parsed. It opens no connection.
func CheckURL(url string) error {
	_, _, err := parseURL(url)
	return err
}

// parseURL returns the settings of connections, and how many there may be.
func parseURL(url string) (cfg *pgx.ConnConfig, connections int, err error) {
	cfg, err = pgx.ParseConfig(url)
	if err != nil {
		// The cause may contain the password.
		return nil, 0, errors.New("store/sql/postgres: the database's URL cannot be parsed")
	}
	connections = defaultConnections
	if text, ok := cfg.RuntimeParams[connectionsParameter]; ok {
		delete(cfg.RuntimeParams, connectionsParameter)
		if connections, err = strconv.Atoi(text); err != nil || connections < 1 || connections > maxConnections {
			return nil, 0, errors.New("store/sql/postgres: pool_max_conns must be a whole number from 1 to 1000")
		}
	}
	// Parse, bind and execute in one message, without a prepared statement that another session would not have.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	cfg.StatementCacheCapacity, cfg.DescriptionCacheCapacity = 0, 0
	return cfg, connections, nil
}

func openPool(url string, timeout time.Duration) (*pool, error) {
	cfg, connections, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = timeout // database/sql also connects without a caller's context
	}
	p := &pool{size: connections}
	p.DB = stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(p.countConnection))
	p.setSize()
	p.SetConnMaxIdleTime(idleTime)
	return p, nil
}

func migrate(ctx context.Context, db *pool) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	if err := db.connect(ctx); err != nil {
		return fmt.Errorf("store/sql/postgres: connecting: %w", sql.DescribeError(err))
	}
	return sql.Migrate(ctx, db.DB, goose.DialectPostgres, files)
}
