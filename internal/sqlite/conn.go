package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/url"
	"path/filepath"

	"modernc.org/sqlite"
)

// keepStatements is how many prepared statements a connection remembers. The stores
// have about a hundred texts; only generated ones could reach the bound.
const keepStatements = 256

// connect opens a pool on the file. Statements on whole connections are not
// interrupted by their context. trace, when it is not nil, sees their texts.
func connect(path string, params url.Values, whole bool, trace func(string)) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: params.Encode()}
	c, err := sqlite.NewConnector(u.String())
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector{c, whole, trace}), nil
}

// connector makes connections that remember their prepared statements. Preparing
// costs as much as running a small statement; done here, the stores write plain
// database/sql.
type connector struct {
	driver.Connector
	whole bool
	trace func(string)
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := inner.(innerConn)
	if !ok {
		return nil, errors.Join(errors.New("the SQLite driver lacks a method that is needed"), inner.Close())
	}
	return &conn{innerConn: full, whole: c.whole, trace: c.trace, kept: map[string]*stmt{}}, nil
}

// innerConn is what the driver's connections can do.
type innerConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// conn is used by one goroutine at a time, as database/sql promises.
type conn struct {
	innerConn
	whole bool
	trace func(string)
	kept  map[string]*stmt
}

// stmt is a prepared statement; while its rows are read it is busy, and the same text
// is prepared once more for whoever asks.
type stmt struct {
	innerStmt
	busy bool
}

type innerStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

func (c *conn) context(ctx context.Context) context.Context {
	if c.whole {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	ctx = c.context(ctx)
	s, err := c.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.innerConn.ExecContext(ctx, query, args)
	}
	return s.ExecContext(ctx, args)
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	ctx = c.context(ctx)
	s, err := c.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.innerConn.QueryContext(ctx, query, args)
	}
	r, err := s.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	s.busy = true
	return &rows{r, s}, nil
}

// prepared returns the free statement of a text, or nil when it is not kept.
func (c *conn) prepared(ctx context.Context, query string) (*stmt, error) {
	if s := c.kept[query]; s != nil {
		if s.busy {
			return nil, nil
		}
		return s, nil
	}
	if len(c.kept) >= keepStatements {
		return nil, nil
	}
	d, err := c.innerConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if c.trace != nil {
		c.trace(query)
	}
	inner, ok := d.(innerStmt)
	if !ok {
		return nil, d.Close()
	}
	s := &stmt{innerStmt: inner}
	c.kept[query] = s
	return s, nil
}

// BeginTx implements driver.ConnBeginTx.
func (c *conn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	return c.innerConn.BeginTx(c.context(ctx), o)
}

// Close implements driver.Conn.
func (c *conn) Close() error {
	var errs []error
	for _, s := range c.kept {
		errs = append(errs, s.Close())
	}
	c.kept = nil
	return errors.Join(append(errs, c.innerConn.Close())...)
}

// rows frees its statement at the end.
type rows struct {
	driver.Rows
	stmt *stmt
}

func (r *rows) Close() error {
	r.stmt.busy = false
	return r.Rows.Close()
}
