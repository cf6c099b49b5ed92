-- +goose Up
-- Watching: links for people without an account, what a recording is, what was made of
-- it, and the jobs that make it.

-- A link. sum is the SHA-256 of its token, lock the salted hash of its password. Of one
-- message, giver and recipient there is one that works, for each key that tokens are
-- made with.
CREATE TABLE link (
    id        BLOB PRIMARY KEY,
    account   INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    message   INTEGER NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    key       TEXT NOT NULL,
    address   TEXT NOT NULL,
    sum       BLOB NOT NULL UNIQUE,
    maker     INTEGER NOT NULL,
    lock      BLOB,
    created   INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    revoked   INTEGER NOT NULL DEFAULT 0,
    tries     INTEGER NOT NULL DEFAULT 0,
    tried     INTEGER NOT NULL DEFAULT 0,
    plays     INTEGER NOT NULL DEFAULT 0,
    watched   REAL NOT NULL DEFAULT 0,
    last_play INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX link_one ON link (message, account, key, maker) WHERE revoked = 0;
CREATE INDEX link_message ON link (message, account, created, id);
CREATE INDEX link_account ON link (account);

CREATE TABLE play (
    link    BLOB NOT NULL REFERENCES link (id) ON DELETE CASCADE,
    session TEXT NOT NULL,
    at      INTEGER NOT NULL,
    upto    REAL NOT NULL,
    PRIMARY KEY (link, session)
) STRICT, WITHOUT ROWID;

-- Complete media that nobody has looked at yet, whatever completed it.
CREATE TABLE media_fresh (
    media BLOB PRIMARY KEY REFERENCES media (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
-- +goose StatementBegin
CREATE TRIGGER media_completed AFTER UPDATE OF complete ON media WHEN NEW.complete = 1 AND OLD.complete = 0 BEGIN
    INSERT OR IGNORE INTO media_fresh VALUES (NEW.id);
END;
-- +goose StatementEnd
INSERT INTO media_fresh SELECT id FROM media WHERE complete = 1;

-- What a recording is, as JSON of media.Info.
CREATE TABLE media_info (
    media BLOB PRIMARY KEY REFERENCES media (id) ON DELETE CASCADE,
    info  TEXT NOT NULL,
    at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- ready is when a job can next be leased: at its time, or when its lease ends; NULL is
-- never.
CREATE TABLE media_job (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    media    BLOB NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    work     TEXT NOT NULL,
    class    TEXT NOT NULL,
    priority INTEGER NOT NULL,
    state    TEXT NOT NULL DEFAULT 'waiting',
    progress REAL NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    cuts     INTEGER NOT NULL DEFAULT 0,
    next_at  INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    started  INTEGER NOT NULL DEFAULT 0,
    changed  INTEGER NOT NULL,
    code     TEXT NOT NULL DEFAULT '',
    reason   TEXT NOT NULL DEFAULT '',
    owner    TEXT NOT NULL DEFAULT '',
    until    INTEGER NOT NULL DEFAULT 0,
    ready    INTEGER GENERATED ALWAYS AS (CASE state WHEN 'waiting' THEN next_at WHEN 'running' THEN until END) STORED,
    UNIQUE (media, work)
) STRICT;
CREATE INDEX media_job_ready ON media_job (class, priority, ready) WHERE ready IS NOT NULL;
CREATE INDEX media_job_state ON media_job (state, id);
CREATE INDEX media_job_open ON media_job (id) WHERE state <> 'done';

-- object names the octets in the media store; it is as safe there as media is.
CREATE TABLE media_asset (
    media  BLOB NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    name   TEXT NOT NULL,
    object BLOB NOT NULL UNIQUE,
    type   TEXT NOT NULL,
    size   INTEGER NOT NULL,
    width  INTEGER NOT NULL,
    height INTEGER NOT NULL,
    work   TEXT NOT NULL,
    PRIMARY KEY (media, name)
) STRICT, WITHOUT ROWID;

-- Octets of assets that no row names any more and that are still to be removed.
CREATE TABLE loose_asset (
    object BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;
-- +goose StatementBegin
CREATE TRIGGER asset_gone AFTER DELETE ON media_asset BEGIN
    INSERT OR IGNORE INTO loose_asset VALUES (OLD.object);
END;
-- +goose StatementEnd

-- +goose Down
DROP TABLE media_asset;
DROP TABLE loose_asset;
DROP TABLE media_job;
DROP TABLE media_info;
DROP TRIGGER media_completed;
DROP TABLE media_fresh;
DROP TABLE play;
DROP TABLE link;
