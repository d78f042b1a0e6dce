// Package sqlite stores factors in a SQLite file, without a server. The driver is pure Go.
//
// One connection writes and a few read, in WAL mode, so that readers never wait for a writer. A change is on disk when the
// method returns (synchronous=FULL); concurrent changes share a transaction. Several processes on one machine may share the
// file. It must not be on a network file system.
package sqlite

import (
	"context"
	databasesql "database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite"

	"github.com/watchword-auth/watchword/store/sql"
)

//go:embed migrations/*.sql
var migrations embed.FS

const readerConnections = 4

// statementTimeout is how long a statement may take. It is longer than SQLite waits for another process (busy_timeout).
const statementTimeout = 8 * time.Second

// clockExpression returns SQLite's present time, which is the machine's, in milliseconds since 1970.
const clockExpression = "CAST(unixepoch('subsec') * 1000 AS INTEGER)"

// Open opens the file at path and migrates the schema. It creates a missing file with permissions for the owner only. The files
// path-wal and path-shm belong to SQLite; path-lock is the lock for migrations.
func Open(ctx context.Context, path string) (*sql.Factors, error) {
	if err := CheckPath(path); err != nil {
		return nil, fmt.Errorf("store/sql/sqlite: %w", err)
	}
	if err := createFile(path); err != nil {
		return nil, fmt.Errorf("store/sql/sqlite: %w", err)
	}
	write, err := openPool(path, 1, writerPragmas()...)
	if err != nil {
		return nil, err
	}
	read, err := openPool(path, readerConnections, readerPragmas()...)
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	if err := migrate(ctx, write, path); err != nil {
		return nil, errors.Join(err, write.Close(), read.Close())
	}
	return sql.New(newWriter(write), read, clockExpression, statementTimeout), nil
}

// migrate makes the first connection to the file at path, and migrates the schema, while no other node does so: of two that change
// a new file to WAL at the same time SQLite refuses one at once (SQLITE_BUSY), without regard to busy_timeout.
func migrate(ctx context.Context, write *databasesql.DB, path string) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	lock, err := takeLock(ctx, path+"-lock")
	if err != nil {
		return fmt.Errorf("store/sql/sqlite: locking the file for migrations: %w", err)
	}
	return errors.Join(sql.Migrate(ctx, write, goose.DialectSQLite3, files), lock.release(ctx))
}

// CheckPath returns an error if there cannot be a database at a path: it names no file, or its folder does not exist.
func CheckPath(path string) error {
	if path == "" || filepath.Base(path) == ":memory:" {
		return errors.New("the path of a file is needed; for memory there is store/memory")
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() || strings.HasSuffix(path, "/") {
		return fmt.Errorf("%s is a folder, not a file", path)
	}
	folder := filepath.Dir(path)
	info, err := os.Stat(folder)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a folder", folder)
	}
	if err != nil {
		return fmt.Errorf("the folder of the file must exist: %w", err)
	}
	return nil
}

// createFile creates an empty file if there is none. SQLite's other files get the same permissions.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// writerPragmas returns the settings of the writing connection. It waits up to five seconds for a writer of another process.
func writerPragmas() []string {
	return []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)"}
}

// readerPragmas returns the settings of the reading connections.
func readerPragmas() []string { return []string{"busy_timeout(5000)", "query_only(1)"} }

// openPool returns a pool of connections with the pragmas. A transaction takes its locks when it begins.
func openPool(path string, connections int, pragmas ...string) (*databasesql.DB, error) {
	options := url.Values{"_txlock": {"immediate"}, "_pragma": pragmas}
	connector, err := driver.NewConnector("file:" + (&url.URL{Path: path}).EscapedPath() + "?" + options.Encode())
	if err != nil {
		return nil, fmt.Errorf("store/sql/sqlite: %w", err)
	}
	db := databasesql.OpenDB(connector)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}
