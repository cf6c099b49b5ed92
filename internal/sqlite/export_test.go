package sqlite

import (
	"context"
	"database/sql"

	"modernc.org/sqlite"
)

// Traced makes a database tell f every statement that it prepares.
func Traced(o Options, f func(query string)) Options {
	o.trace = f
	return o
}

// Pages is how many pages of the file all statements so far looked at, as far as one
// reading and the writing connection know: what a statement costs, without a clock.
// Open the database with one reader.
func Pages(ctx context.Context, db *DB) (int, error) {
	total := 0
	for _, pool := range []interface {
		Conn(context.Context) (*sql.Conn, error)
	}{db.write, db.read} {
		c, err := pool.Conn(ctx)
		if err != nil {
			return 0, err
		}
		err = c.Raw(func(dc any) error {
			for _, op := range []sqlite.DBStatusOp{sqlite.DBStatusCacheHit, sqlite.DBStatusCacheMiss} {
				n, _, err := dc.(*conn).innerConn.(sqlite.DBStatus).Status(op, false)
				if err != nil {
					return err
				}
				total += n
			}
			return nil
		})
		if err := c.Close(); err != nil {
			return 0, err
		}
		if err != nil {
			return 0, err
		}
	}
	return total, nil
}
