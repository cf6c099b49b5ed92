package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/videoactivmail/vam"
)

// scanner is a row.
type scanner interface{ Scan(dest ...any) error }

// collect reads every row of a query.
func collect[T any](ctx context.Context, q Querier, scan func(scanner, *T) error, query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []T
	for rows.Next() {
		var v T
		if err := scan(rows, &v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// notFound classifies "no rows".
func notFound(err error, what string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return vam.Errorf(vam.NotFound, "there is no such %s", what)
	}
	return err
}

// changeOne runs a statement and is NotFound when it touched no row.
func changeOne(ctx context.Context, tx *sql.Tx, what, query string, args ...any) error {
	res, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		return vam.Errorf(vam.NotFound, "there is no such %s", what)
	}
	return err
}

// micros is a time as it is stored: microseconds since 1970, 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// parseAddress reads a stored address; "" is the null reverse-path.
func parseAddress(s string, a *vam.Address) error {
	if s == "" {
		*a = vam.Address{}
		return nil
	}
	v, err := vam.ParseAddress(s)
	if err != nil {
		return vam.Wrap(vam.Corrupt, err, "a stored address cannot be read")
	}
	*a = v
	return nil
}

func scanAddress(row scanner, a *vam.Address) error {
	var s string
	if err := row.Scan(&s); err != nil {
		return err
	}
	return parseAddress(s, a)
}
