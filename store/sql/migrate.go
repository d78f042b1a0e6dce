package sql

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// versionTable records which migrations a database has.
const versionTable = "watchword_migrations"

// Migrate applies the migrations in files that the database does not have. Each file and its record are one transaction. If
// several nodes apply a migration at the same time, one commits; the transactions of the others fail, and they look again. So
// Migrate locks nothing beyond a transaction; SQLite's package locks its file around it. Errors describe what the database refused
// (DescribeError).
func Migrate(ctx context.Context, db *sql.DB, dialect goose.Dialect, files fs.FS) error {
	store, err := database.NewStore(dialect, versionTable)
	if err != nil {
		return fmt.Errorf("store/sql: migrating: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectCustom, db, files, goose.WithStore(uniqueVersions{store}), goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err == nil {
		err = applyMigrations(ctx, provider)
	}
	if err != nil {
		return fmt.Errorf("store/sql: migrating: %w", DescribeError(err))
	}
	return nil
}

// applyMigrations tries again as long as another node has applied a migration in the meantime.
func applyMigrations(ctx context.Context, p *goose.Provider) error {
	for {
		before, err := p.GetDBVersion(ctx)
		if err != nil {
			return err
		}
		if _, err = p.Up(ctx); err == nil {
			return nil
		}
		if after, errVersion := p.GetDBVersion(ctx); errVersion != nil || after == before {
			return err
		}
	}
}

// uniqueVersions are the records of migrations, each of which can be made once.
type uniqueVersions struct{ database.Store }

// CreateVersionTable creates the table of the records.
func (v uniqueVersions) CreateVersionTable(ctx context.Context, db database.DBTxConn) error {
	err := v.Store.CreateVersionTable(ctx, db)
	if err == nil {
		_, err = db.ExecContext(ctx, "CREATE UNIQUE INDEX "+versionTable+"_once ON "+versionTable+" (version_id)")
	}
	return err
}

// TableExists reports whether there is a table of the records.
func (v uniqueVersions) TableExists(ctx context.Context, db database.DBTxConn) (bool, error) {
	return v.Store.(database.StoreExtender).TableExists(ctx, db) // every store of goose is one
}
