-- +goose Up
-- Times are microseconds since 1970 UTC, 0 is "none". Sizes and offsets are octets,
-- durations microseconds. Addresses stand twice: as written, and as the key under
-- which they are compared.

-- An id is never used twice (AUTOINCREMENT): what names the account of somebody who
-- left must not become somebody else's.
CREATE TABLE account (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    address  TEXT NOT NULL,
    key      TEXT NOT NULL UNIQUE,
    domain   TEXT NOT NULL,
    name     TEXT NOT NULL,
    quota    INTEGER NOT NULL,
    used     INTEGER NOT NULL DEFAULT 0,
    created  INTEGER NOT NULL
) STRICT;
CREATE INDEX account_domain ON account (domain, id);

CREATE TABLE alias (
    key      TEXT PRIMARY KEY,
    address  TEXT NOT NULL,
    account  INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX alias_account ON alias (account);

CREATE TABLE device (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    account   INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    token     BLOB NOT NULL UNIQUE,
    label     TEXT NOT NULL,
    created   INTEGER NOT NULL,
    last_used INTEGER NOT NULL
) STRICT;
CREATE INDEX device_account ON device (account);

CREATE TABLE contact (
    account  INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    key      TEXT NOT NULL,
    address  TEXT NOT NULL,
    domain   TEXT NOT NULL,
    standing TEXT NOT NULL,
    since    INTEGER NOT NULL,
    PRIMARY KEY (account, key)
) STRICT;
CREATE INDEX contact_domain ON contact (domain) WHERE standing = 'known';

-- One row per media object. have is the set of durable spans; identity is set when
-- the log of a message that carries it was sealed.
CREATE TABLE media (
    id       BLOB PRIMARY KEY,
    have     BLOB NOT NULL,
    identity BLOB,
    complete INTEGER NOT NULL DEFAULT 0,
    created  INTEGER NOT NULL
) STRICT;
CREATE INDEX media_identity ON media (identity) WHERE complete = 1;

CREATE TABLE media_holder (
    media  BLOB NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    domain TEXT NOT NULL,
    PRIMARY KEY (media, domain)
) STRICT;

CREATE TABLE message (
    id          INTEGER PRIMARY KEY,
    origin      TEXT NOT NULL,
    mid         TEXT NOT NULL,
    state       TEXT NOT NULL,
    kind        TEXT NOT NULL,
    author      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    text        TEXT NOT NULL,
    public_key  BLOB NOT NULL,
    private_key BLOB,
    media       BLOB REFERENCES media (id),
    announced   INTEGER NOT NULL,
    lines       INTEGER NOT NULL,
    root        BLOB NOT NULL,
    checkpoint  BLOB NOT NULL,
    media_bytes INTEGER NOT NULL,
    duration    INTEGER NOT NULL,
    sealed_at   INTEGER NOT NULL,
    digest      BLOB NOT NULL,
    identity    BLOB NOT NULL,
    sides       INTEGER NOT NULL,
    created     INTEGER NOT NULL,
    sent_at     INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    complete    INTEGER NOT NULL,
    forwards    TEXT NOT NULL,
    mail        BLOB,
    account     INTEGER REFERENCES account (id) ON DELETE SET NULL,
    draft       TEXT,
    changed     INTEGER NOT NULL,
    UNIQUE (origin, mid)
) STRICT;
CREATE INDEX message_mid ON message (mid);
CREATE INDEX message_media ON message (media) WHERE media IS NOT NULL;
CREATE INDEX message_account ON message (account) WHERE account IS NOT NULL;
CREATE INDEX message_unsent ON message (changed) WHERE sent_at = 0;
CREATE INDEX message_recording ON message (id) WHERE state = 'live' AND private_key IS NOT NULL;
CREATE INDEX message_expires ON message (expires) WHERE expires > 0 AND sent_at > 0 AND state IN ('live', 'sealed');
CREATE INDEX message_spent ON message (changed) WHERE media IS NULL AND state IN ('purged', 'revoked', 'expired');

CREATE TABLE line (
    message INTEGER NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    n       INTEGER NOT NULL,
    raw     BLOB NOT NULL,
    off     INTEGER NOT NULL,
    len     INTEGER NOT NULL,
    PRIMARY KEY (message, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE entry (
    id       INTEGER PRIMARY KEY,
    account  INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    folder   TEXT NOT NULL,
    origin   TEXT NOT NULL,
    mid      TEXT NOT NULL,
    rcpt     TEXT NOT NULL,
    sender   TEXT NOT NULL,
    subject  TEXT NOT NULL,
    kind     TEXT NOT NULL,
    bounce   INTEGER NOT NULL,
    state    TEXT NOT NULL,
    reason   TEXT NOT NULL,
    size     INTEGER NOT NULL,
    duration INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    changed  INTEGER NOT NULL,
    seen     INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    charged  INTEGER NOT NULL GENERATED ALWAYS AS
        (CASE WHEN state IN ('draft', 'arriving', 'stored') THEN size ELSE 0 END) STORED,
    UNIQUE (account, folder, origin, mid)
) STRICT;
CREATE INDEX entry_list ON entry (account, folder, mid);
CREATE INDEX entry_message ON entry (origin, mid);
CREATE INDEX entry_held ON entry (at) WHERE state = 'held';

-- What an account uses is kept by the database itself, so that no way in or out of
-- a mailbox can forget it.
-- +goose StatementBegin
CREATE TRIGGER entry_added AFTER INSERT ON entry WHEN NEW.charged <> 0 BEGIN
    UPDATE account SET used = used + NEW.charged WHERE id = NEW.account;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_changed AFTER UPDATE ON entry WHEN NEW.charged <> OLD.charged BEGIN
    UPDATE account SET used = used + NEW.charged - OLD.charged WHERE id = NEW.account;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_removed AFTER DELETE ON entry WHEN OLD.charged <> 0 BEGIN
    UPDATE account SET used = used - OLD.charged WHERE id = OLD.account;
END;
-- +goose StatementEnd

-- What may have lost its last holder since the last sweep: messages whose media
-- nobody may need any more, and media that no message may name any more. A sweep
-- looks at these alone, whatever else is stored.
CREATE TABLE idle (
    message INTEGER PRIMARY KEY REFERENCES message (id) ON DELETE CASCADE
) STRICT;

CREATE TABLE loose (
    media BLOB PRIMARY KEY REFERENCES media (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER entry_gone AFTER DELETE ON entry BEGIN
    INSERT OR IGNORE INTO idle SELECT id FROM message WHERE origin = OLD.origin AND mid = OLD.mid;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_ended AFTER UPDATE OF state ON entry WHEN NEW.state NOT IN ('draft', 'held', 'arriving', 'stored') BEGIN
    INSERT OR IGNORE INTO idle SELECT id FROM message WHERE origin = NEW.origin AND mid = NEW.mid;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER message_moved AFTER UPDATE OF state, media ON message
WHEN NEW.state NOT IN ('draft', 'purged') AND (NEW.state <> OLD.state OR NEW.media IS NOT NULL AND OLD.media IS NULL) BEGIN
    INSERT OR IGNORE INTO idle VALUES (NEW.id);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER message_let_go AFTER UPDATE OF media ON message WHEN OLD.media IS NOT NULL AND NEW.media IS NOT OLD.media BEGIN
    INSERT OR IGNORE INTO loose VALUES (OLD.media);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER message_gone AFTER DELETE ON message WHEN OLD.media IS NOT NULL BEGIN
    INSERT OR IGNORE INTO loose VALUES (OLD.media);
END;
-- +goose StatementEnd

-- Offers that this server makes.
CREATE TABLE offer_out (
    id         TEXT PRIMARY KEY,
    message    INTEGER NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    domain     TEXT NOT NULL,
    body       BLOB,
    deliver_by INTEGER NOT NULL,
    not_before INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX offer_out_message ON offer_out (message);

CREATE TABLE pull_token (
    hash    BLOB PRIMARY KEY,
    offer   TEXT NOT NULL REFERENCES offer_out (id) ON DELETE CASCADE,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX pull_token_offer ON pull_token (offer);

CREATE TABLE recipient (
    message  INTEGER NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    ord      INTEGER NOT NULL,
    key      TEXT NOT NULL,
    address  TEXT NOT NULL,
    hidden   INTEGER NOT NULL,
    offer    TEXT NOT NULL,
    state    TEXT NOT NULL,
    code     TEXT NOT NULL,
    text     TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_at  INTEGER NOT NULL,
    changed  INTEGER NOT NULL,
    PRIMARY KEY (message, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX recipient_offer ON recipient (offer);
-- +goose StatementBegin
CREATE TRIGGER recipient_moved AFTER UPDATE OF state ON recipient WHEN NEW.state NOT IN ('queued', 'offering', 'waiting', 'held', 'accepted') BEGIN
    INSERT OR IGNORE INTO idle VALUES (NEW.message);
END;
-- +goose StatementEnd

-- Offers that were made to this server, kept for 60 days after their last change so
-- that a repetition gets the same answer.
CREATE TABLE offer_in (
    message INTEGER NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    id      TEXT NOT NULL,
    digest  BLOB NOT NULL,
    token   TEXT NOT NULL,
    expires INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    PRIMARY KEY (message, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX offer_in_changed ON offer_in (changed);

CREATE TABLE offer_rcpt (
    message INTEGER NOT NULL,
    offer   TEXT NOT NULL,
    ord     INTEGER NOT NULL,
    address TEXT NOT NULL,
    account INTEGER NOT NULL,
    state   TEXT NOT NULL,
    code    TEXT NOT NULL,
    text    TEXT NOT NULL,
    PRIMARY KEY (message, offer, ord),
    FOREIGN KEY (message, offer) REFERENCES offer_in (message, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- ready is when a job can next be leased: at its time, or when its lease ends.
CREATE TABLE job (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    kind     TEXT NOT NULL,
    key      TEXT NOT NULL,
    domain   TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_at  INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    payload  BLOB,
    owner    TEXT NOT NULL,
    until    INTEGER NOT NULL,
    again    INTEGER NOT NULL,
    ready    INTEGER NOT NULL GENERATED ALWAYS AS (CASE owner WHEN '' THEN next_at ELSE until END) STORED,
    UNIQUE (kind, key)
) STRICT;
CREATE INDEX job_ready ON job (kind, domain, ready);
CREATE INDEX job_domain ON job (domain, next_at);
CREATE INDEX job_next ON job (next_at);
CREATE INDEX job_created ON job (kind, created);

-- How many jobs of each kind and domain there are, and when the first is ready. A look
-- for work reads these rows: a domain that is busy or cannot be reached costs one,
-- however many jobs wait for it.
CREATE TABLE job_head (
    kind   TEXT NOT NULL,
    domain TEXT NOT NULL,
    jobs   INTEGER NOT NULL,
    ready  INTEGER NOT NULL,
    PRIMARY KEY (kind, domain)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_head_ready ON job_head (kind, ready);
-- +goose StatementBegin
CREATE TRIGGER job_added AFTER INSERT ON job BEGIN
    INSERT INTO job_head (kind, domain, jobs, ready) VALUES (NEW.kind, NEW.domain, 1, NEW.ready)
        ON CONFLICT (kind, domain) DO UPDATE SET jobs = jobs + 1, ready = min(ready, excluded.ready);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER job_moved AFTER UPDATE ON job WHEN NEW.ready <> OLD.ready BEGIN
    UPDATE job_head SET ready = (SELECT min(ready) FROM job WHERE kind = NEW.kind AND domain = NEW.domain)
        WHERE kind = NEW.kind AND domain = NEW.domain;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER job_done AFTER DELETE ON job BEGIN
    DELETE FROM job_head WHERE kind = OLD.kind AND domain = OLD.domain AND jobs = 1;
    UPDATE job_head SET jobs = jobs - 1, ready = (SELECT min(ready) FROM job WHERE kind = OLD.kind AND domain = OLD.domain)
        WHERE kind = OLD.kind AND domain = OLD.domain;
END;
-- +goose StatementEnd

CREATE TABLE destination (
    domain   TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    next_at  INTEGER NOT NULL,
    reason   TEXT NOT NULL
) STRICT;
CREATE INDEX destination_next ON destination (next_at);

-- Two checkpoints of one message that a message key signed and that do not fit.
CREATE TABLE evidence (
    id     INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,
    mid    TEXT NOT NULL,
    have   BLOB NOT NULL,
    got    BLOB NOT NULL,
    at     INTEGER NOT NULL
) STRICT;
CREATE INDEX evidence_message ON evidence (origin, mid);

-- +goose Down
DROP TABLE evidence;
DROP TABLE destination;
DROP TABLE job_head;
DROP TABLE job;
DROP TABLE offer_rcpt;
DROP TABLE offer_in;
DROP TABLE recipient;
DROP TABLE pull_token;
DROP TABLE offer_out;
DROP TABLE idle;
DROP TABLE loose;
DROP TABLE entry;
DROP TABLE line;
DROP TABLE message;
DROP TABLE media_holder;
DROP TABLE media;
DROP TABLE contact;
DROP TABLE device;
DROP TABLE alias;
DROP TABLE account;
