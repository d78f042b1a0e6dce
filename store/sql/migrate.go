package sql

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
)

// Migrate applies the migrations in files that the database does not have. Each file and its record are one transaction. Migrate
// holds lock, so that one of several nodes migrates and the others wait for it.
func Migrate(ctx context.Context, db *sql.DB, dialect goose.Dialect, files fs.FS, lock goose.ProviderOption) error {
	provider, err := goose.NewProvider(dialect, db, files, lock, goose.WithTableName("watchword_migrations"),
		goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err == nil {
		_, err = provider.Up(ctx)
	}
	if err != nil {
		return fmt.Errorf("store/sql: migrating: %w", describeError(err))
	}
	return nil
}
