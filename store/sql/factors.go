package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/probe"
)

// Factors implements watchword.Factors, watchword.FactorPager and watchword.Pinger. It is safe for concurrent use.
type Factors struct {
	write   Writer
	read    Reader
	columns string
	timeout time.Duration
	gate    probe.Gate
}

// A Writer executes single statements and is safe for concurrent use. If ExecContext returns no error, the statement is
// committed and durable. If it returns an error, the statement may have been committed. *sql.DB is a Writer.
type Writer interface {
	ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error)
	Close() error
}

// A Reader executes single queries and is safe for concurrent use. *sql.DB is a Reader.
type Reader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	Close() error
}

// An Inspector is a database that can be inspected by an operator.
type Inspector interface {
	Inspect(ctx context.Context) (Inspection, error)
}

// An Inspection is what a database says about itself.
type Inspection struct {
	Time     time.Time // of the database's clock
	Summary  string    // for people
	Warnings []string  // about settings that work and are not as they should be
}

var (
	_ watchword.Factors     = (*Factors)(nil)
	_ watchword.FactorPager = (*Factors)(nil)
	_ watchword.Pinger      = (*Factors)(nil)
)

// New returns Factors that write by one pool and read by another; they may be the same. Factors.Close closes both. now is a SQL
// expression for the database's clock, in milliseconds since 1970. A statement without a result after timeout fails, the wait
// for a connection included.
func New(write Writer, read Reader, now string, timeout time.Duration) *Factors {
	return &Factors{write: write, read: read, timeout: timeout, columns: "id, app, subject, strategy, created_at, version, data, " + now}
}

// Close closes both pools.
func (f *Factors) Close() error { return errors.Join(f.write.Close(), f.read.Close()) }

// Ping implements watchword.Pinger: it creates, reads, updates and deletes a row that belongs to no app. It does so at most once
// a second and otherwise returns the last result. All nodes use the same row.
func (f *Factors) Ping(ctx context.Context) error { return f.gate.Run(ctx, f.tryStatements) }

func (f *Factors) tryStatements(ctx context.Context) error {
	row := watchword.SealedFactor{ID: "readiness", Strategy: "readiness", Version: 1, Data: []byte{}}
	read := func() error { _, err := f.List(ctx, row.App, row.Subject); return err }
	for _, step := range []func() error{
		func() error { return f.Create(ctx, row) },
		read,
		func() error { return f.Update(ctx, row) },
		func() error { return f.Delete(ctx, row.App, row.ID) },
	} {
		err := step()
		changedByOtherNode := errors.Is(err, watchword.ErrExists) || errors.Is(err, watchword.ErrConflict) || errors.Is(err, watchword.ErrNotFound)
		if err != nil && !changedByOtherNode {
			return err
		}
	}
	return nil
}

// Create implements watchword.Factors.
func (f *Factors) Create(ctx context.Context, s watchword.SealedFactor) error {
	created, err := f.executeChange(ctx, `INSERT INTO watchword_factors (app, id, subject, strategy, created_at, version, data)
		VALUES ($1, $2, $3, $4, $5, 1, $6) ON CONFLICT (app, id) DO NOTHING`,
		s.App, s.ID, s.Subject, s.Strategy, s.CreatedAt.UnixMilli(), s.Data)
	if err == nil && !created {
		err = watchword.ErrExists
	}
	return err
}

// Get implements watchword.Factors.
func (f *Factors) Get(ctx context.Context, app, id string) (watchword.SealedFactor, error) {
	found, err := f.queryFactors(ctx, `FROM watchword_factors
		WHERE app = $1 AND id = $2`, app, id)
	if err != nil {
		return watchword.SealedFactor{}, err
	}
	if len(found) == 0 {
		return watchword.SealedFactor{}, watchword.ErrNotFound
	}
	return found[0], nil
}

// List implements watchword.Factors.
func (f *Factors) List(ctx context.Context, app, subject string) ([]watchword.SealedFactor, error) {
	return f.queryFactors(ctx, `FROM watchword_factors
		WHERE app = $1 AND subject = $2 ORDER BY created_at, id`, app, subject)
}

// Page implements watchword.FactorPager, in the byte order of ids. The empty id sorts before all others. A caller that reads all
// pages sees each factor that existed during that time exactly once.
func (f *Factors) Page(ctx context.Context, app, after string, limit int) ([]watchword.SealedFactor, error) {
	return f.queryFactors(ctx, `FROM watchword_factors
		WHERE app = $1 AND id > $2 ORDER BY id LIMIT $3`, app, after, limit)
}

// Update implements watchword.Factors.
func (f *Factors) Update(ctx context.Context, s watchword.SealedFactor) error {
	updated, err := f.executeChange(ctx, `UPDATE watchword_factors SET data = $4, version = version + 1
		WHERE app = $1 AND id = $2 AND version = $3`, s.App, s.ID, s.Version, s.Data)
	if err != nil || updated {
		return err
	}
	if _, err := f.Get(ctx, s.App, s.ID); err != nil {
		return err
	}
	return watchword.ErrConflict
}

// Delete implements watchword.Factors.
func (f *Factors) Delete(ctx context.Context, app, id string) error {
	deleted, err := f.executeChange(ctx, `DELETE FROM watchword_factors WHERE app = $1 AND id = $2`, app, id)
	if err == nil && !deleted {
		err = watchword.ErrNotFound
	}
	return err
}

// executeChange executes one statement and reports whether it changed a row. An error of the statement wraps
// watchword.ErrOutcomeUnknown.
func (f *Factors) executeChange(ctx context.Context, statement string, args ...any) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	result, err := f.write.ExecContext(ctx, statement, args...)
	if err != nil {
		return false, fmt.Errorf("store/sql: %w: %w", watchword.ErrOutcomeUnknown, DescribeError(err))
	}
	n, err := result.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("store/sql: %w", DescribeError(err))
	}
	return n > 0, nil
}

// queryFactors reads factors. from is the query without its SELECT clause.
func (f *Factors) queryFactors(ctx context.Context, from string, args ...any) (found []watchword.SealedFactor, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	rows, err := f.read.QueryContext(ctx, "SELECT "+f.columns+" "+from, args...)
	if err != nil {
		return nil, fmt.Errorf("store/sql: %w", DescribeError(err))
	}
	defer rows.Close()
	for rows.Next() {
		var s watchword.SealedFactor
		var created, now int64
		if err := rows.Scan(&s.ID, &s.App, &s.Subject, &s.Strategy, &created, &s.Version, &s.Data, &now); err != nil {
			return nil, fmt.Errorf("store/sql: %w", DescribeError(err))
		}
		s.CreatedAt, s.ReadAt = time.UnixMilli(created).UTC(), time.UnixMilli(now).UTC()
		found = append(found, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("store/sql: %w", DescribeError(err))
	}
	return found, nil
}
