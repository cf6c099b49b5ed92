package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/videoactivmail/vam"
)

//go:embed migrations/*.sql
var ownMigrations embed.FS

// applicationID marks the file as ours (PRAGMA application_id): "VAM1".
const applicationID = 0x56414d31

// migrate brings the schema of the file up to the newest of fsys. Each step is one
// transaction with its version, so a crash leaves a step done or not begun. Foreign
// keys are checked at the end instead of meanwhile: a step may rebuild a table.
func migrate(ctx context.Context, path string, o Options) error {
	fsys := o.Migrations
	if fsys == nil {
		sub, err := fs.Sub(ownMigrations, "migrations")
		if err != nil {
			return err
		}
		fsys = sub
	}
	params := writerPragmas(o)
	params.Set("_foreign_keys", "off")
	db, err := connect(path, params, true, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := claim(ctx, db); err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, fsys, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > want {
		return vam.Errorf(vam.Conflict,
			"the database has schema %d and this program knows up to %d: it was written by a newer vam; start that one, or restore a backup from before", have, want)
	}
	if have == want {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bringing the database from schema %d to %d: %w", have, want, err)
	}
	var table string
	err = db.QueryRowContext(ctx, `SELECT "table" FROM pragma_foreign_key_check LIMIT 1`).Scan(&table)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("after the migration to schema %d a row of table %s points to nothing", want, table)
	}
	return err
}

// claim refuses another program's database and marks a new one as ours.
func claim(ctx context.Context, db *sql.DB) error {
	var id, tables int64
	if err := db.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&id); err != nil {
		return err
	}
	if id == applicationID {
		return nil
	}
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return err
	}
	if id != 0 || tables > 0 {
		return vam.Errorf(vam.Conflict, "the database file belongs to another program: give vam a data folder of its own")
	}
	_, err := db.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d`, applicationID))
	return err
}
