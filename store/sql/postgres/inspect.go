package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword/store/sql"
)

// Factors are stored in a PostgreSQL database.
type Factors struct {
	*sql.Factors
	pool *pool
}

// Inspect implements sql.Inspector. It warns if the server gives fewer connections than the pool has.
func (f *Factors) Inspect(ctx context.Context) (i sql.Inspection, err error) {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	rows, err := f.pool.QueryContext(ctx, `SELECT `+clockExpression+`, rolconnlimit, datconnlimit,
			current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
		FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()`)
	if err != nil {
		return i, fmt.Errorf("store/sql/postgres: inspecting: %w", sql.DescribeError(err))
	}
	defer func() { _ = rows.Close() }()
	limits := map[string]*int{"role": new(int), "database": new(int), "server": new(int)}
	var now int64
	if rows.Next() {
		err = rows.Scan(&now, limits["role"], limits["database"], limits["server"])
	}
	if err == nil {
		err = rows.Err()
	}
	if err != nil {
		return i, fmt.Errorf("store/sql/postgres: inspecting: %w", sql.DescribeError(err))
	}
	size := f.pool.size
	i.Time, i.Summary = time.UnixMilli(now), fmt.Sprintf("PostgreSQL, at most %d connections", size)
	for _, of := range []string{"role", "database", "server"} {
		if limit := *limits[of]; limit >= 0 && limit < size {
			i.Warnings = append(i.Warnings, fmt.Sprintf("the %s gives %d connections, and the pool has %d: statements wait; set pool_max_conns to %d or less, for all servers together", of, limit, size, max(limit, 1)))
		}
	}
	return i, nil
}
