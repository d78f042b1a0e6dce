package sql

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
)

// Migrate brings the schema up to date with the files, each of which is one transaction together with its record. It
// holds the lock meanwhile, so that of nodes that start together one migrates and the others find it done.
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
