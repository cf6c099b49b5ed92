package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
)

// Accounts is account.Store.
type Accounts struct{ db *DB }

var _ account.Store = Accounts{}

// Accounts returns the store of accounts.
func (db *DB) Accounts() Accounts { return Accounts{db} }

const accountColumns = `id, address, name, quota, used, created`

func scanAccount(row scanner, a *account.Account) error {
	var address string
	var created int64
	if err := row.Scan(&a.ID, &address, &a.Name, &a.Quota, &a.Used, &created); err != nil {
		return err
	}
	a.Created = fromMicros(created)
	return parseAddress(address, &a.Address)
}

// CreateAccount implements account.Store.
func (s Accounts) CreateAccount(ctx context.Context, a account.Account) (account.Account, error) {
	var out account.Account
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := s.free(ctx, tx, a.Address); err != nil {
			return err
		}
		return scanAccount(tx.QueryRowContext(ctx, `INSERT INTO account (address, key, domain, name, quota, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING `+accountColumns,
			a.Address.String(), a.Address.Key(), a.Address.Domain, a.Name, a.Quota, micros(a.Created)), &out)
	})
	return out, err
}

// free is Conflict when the address is an account or an alias.
func (s Accounts) free(ctx context.Context, tx *sql.Tx, a vam.Address) error {
	var taken bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM account WHERE key = ?1) OR EXISTS (SELECT 1 FROM alias WHERE key = ?1)`, a.Key()).Scan(&taken)
	if err == nil && taken {
		return vam.Errorf(vam.Conflict, "%s exists already", a)
	}
	return err
}

// there is NotFound for an unknown account.
func (s Accounts) there(ctx context.Context, tx *sql.Tx, id int64) error {
	var one int
	return notFound(tx.QueryRowContext(ctx, `SELECT 1 FROM account WHERE id = ?1`, id).Scan(&one), "account")
}

// AccountByAddress implements account.Store.
func (s Accounts) AccountByAddress(ctx context.Context, a vam.Address) (account.Account, error) {
	return s.one(ctx, "mailbox "+a.String(), `SELECT `+accountColumns+` FROM account
		WHERE key = ?1 OR id = (SELECT account FROM alias WHERE key = ?1)`, a.Key())
}

// AccountByID implements account.Store.
func (s Accounts) AccountByID(ctx context.Context, id int64) (account.Account, error) {
	return s.one(ctx, "account", `SELECT `+accountColumns+` FROM account WHERE id = ?1`, id)
}

func (s Accounts) one(ctx context.Context, what, query string, args ...any) (a account.Account, err error) {
	err = s.db.One(ctx, func(q Querier) error {
		return notFound(scanAccount(q.QueryRowContext(ctx, query, args...), &a), what)
	})
	return a, err
}

// Accounts implements account.Store.
func (s Accounts) Accounts(ctx context.Context) (out []account.Account, err error) {
	err = s.db.One(ctx, func(q Querier) error {
		out, err = collect(ctx, q, scanAccount, `SELECT `+accountColumns+` FROM account ORDER BY key`)
		return err
	})
	return out, err
}

// OldestAccount implements account.Store.
func (s Accounts) OldestAccount(ctx context.Context, d vam.Domain) (account.Account, error) {
	return s.one(ctx, "mailbox at "+string(d), `SELECT `+accountColumns+` FROM account WHERE domain = ?1 ORDER BY id LIMIT 1`, d)
}

// SetQuota implements account.Store.
func (s Accounts) SetQuota(ctx context.Context, id int64, quota vam.Bytes) error {
	return s.change(ctx, "account", `UPDATE account SET quota = ?2 WHERE id = ?1`, id, quota)
}

// DeleteAccount implements account.Store.
func (s Accounts) DeleteAccount(ctx context.Context, id int64) error {
	return s.change(ctx, "account", `DELETE FROM account WHERE id = ?1`, id)
}

// change runs one statement that must touch a row.
func (s Accounts) change(ctx context.Context, what, query string, args ...any) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error { return changeOne(ctx, tx, what, query, args...) })
}

// AddAlias implements account.Store.
func (s Accounts) AddAlias(ctx context.Context, alias vam.Address, id int64) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := s.free(ctx, tx, alias); err != nil {
			return err
		}
		if err := s.there(ctx, tx, id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO alias (key, address, account) VALUES (?1, ?2, ?3)`, alias.Key(), alias.String(), id)
		return err
	})
}

// RemoveAlias implements account.Store.
func (s Accounts) RemoveAlias(ctx context.Context, alias vam.Address) error {
	return s.change(ctx, "alias "+alias.String(), `DELETE FROM alias WHERE key = ?1`, alias.Key())
}

// Aliases implements account.Store.
func (s Accounts) Aliases(ctx context.Context, id int64) (out []vam.Address, err error) {
	err = s.db.One(ctx, func(q Querier) error {
		out, err = collect(ctx, q, scanAddress, `SELECT address FROM alias WHERE account = ?1 ORDER BY key`, id)
		return err
	})
	return out, err
}

// AddDevice implements account.Store.
func (s Accounts) AddDevice(ctx context.Context, d account.Device, token activmail.Sum) (account.Device, error) {
	var out account.Device
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := s.there(ctx, tx, d.Account); err != nil {
			return err
		}
		return scanDevice(tx.QueryRowContext(ctx, `INSERT INTO device (account, token, label, created, last_used) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING `+deviceColumns,
			d.Account, token[:], d.Label, micros(d.Created), micros(d.LastUsed)), &out)
	})
	return out, err
}

func scanDevice(row scanner, d *account.Device) error {
	var created, used int64
	err := row.Scan(&d.ID, &d.Account, &d.Label, &created, &used)
	d.Created, d.LastUsed = fromMicros(created), fromMicros(used)
	return err
}

const deviceColumns = `id, account, label, created, last_used`

// DeviceByToken implements account.Store.
func (s Accounts) DeviceByToken(ctx context.Context, token activmail.Sum) (d account.Device, a account.Account, err error) {
	err = s.db.Read(ctx, func(q Querier) error {
		if err := notFound(scanDevice(q.QueryRowContext(ctx, `SELECT `+deviceColumns+` FROM device WHERE token = ?1`, token[:]), &d), "device"); err != nil {
			return err
		}
		return scanAccount(q.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM account WHERE id = ?1`, d.Account), &a)
	})
	return d, a, err
}

// TouchDevice implements account.Store.
func (s Accounts) TouchDevice(ctx context.Context, id int64, at time.Time) error {
	return s.change(ctx, "device", `UPDATE device SET last_used = ?2 WHERE id = ?1`, id, micros(at))
}

// RemoveDevice implements account.Store.
func (s Accounts) RemoveDevice(ctx context.Context, acct, id int64) error {
	return s.change(ctx, "device", `DELETE FROM device WHERE id = ?1 AND account = ?2`, id, acct)
}

// Devices implements account.Store.
func (s Accounts) Devices(ctx context.Context, acct int64) (out []account.Device, err error) {
	err = s.db.One(ctx, func(q Querier) error {
		out, err = collect(ctx, q, scanDevice, `SELECT `+deviceColumns+` FROM device WHERE account = ?1 ORDER BY id`, acct)
		return err
	})
	return out, err
}

// Standing implements account.Store.
func (s Accounts) Standing(ctx context.Context, acct int64, peer vam.Address) (standing account.Standing, err error) {
	err = s.db.One(ctx, func(q Querier) error {
		err := q.QueryRowContext(ctx, `SELECT standing FROM contact WHERE account = ?1 AND key = ?2`, acct, peer.Key()).Scan(&standing)
		if err == sql.ErrNoRows {
			return nil
		}
		return err
	})
	return standing, err
}

// SetStanding implements account.Store.
func (s Accounts) SetStanding(ctx context.Context, acct int64, peer vam.Address, standing account.Standing, at time.Time) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := s.there(ctx, tx, acct); err != nil {
			return err
		}
		return setStanding(ctx, tx, acct, peer, standing, at)
	})
}

func setStanding(ctx context.Context, tx *sql.Tx, acct int64, peer vam.Address, standing account.Standing, at time.Time) error {
	if standing == account.Unknown {
		_, err := tx.ExecContext(ctx, `DELETE FROM contact WHERE account = ?1 AND key = ?2`, acct, peer.Key())
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO contact (account, key, address, domain, standing, since) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
		ON CONFLICT (account, key) DO UPDATE SET standing = excluded.standing, since = excluded.since WHERE standing <> excluded.standing`,
		acct, peer.Key(), peer.String(), peer.Domain, standing, micros(at))
	return err
}

// KnowsDomain implements account.Store.
func (s Accounts) KnowsDomain(ctx context.Context, d vam.Domain) (bool, error) {
	return s.db.exists(ctx, `SELECT 1 FROM contact WHERE domain = ?1 AND standing = 'known'`, d)
}

// Contacts implements account.Store.
func (s Accounts) Contacts(ctx context.Context, acct int64) (out []account.Contact, err error) {
	scan := func(row scanner, c *account.Contact) error {
		var address string
		var since int64
		if err := row.Scan(&address, &c.Standing, &since); err != nil {
			return err
		}
		c.Since = fromMicros(since)
		return parseAddress(address, &c.Address)
	}
	err = s.db.One(ctx, func(q Querier) error {
		out, err = collect(ctx, q, scan, `SELECT address, standing, since FROM contact WHERE account = ?1 ORDER BY key`, acct)
		return err
	})
	return out, err
}
