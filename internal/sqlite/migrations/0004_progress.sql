-- +goose Up
-- When something of a message that is pulled came last.
ALTER TABLE message ADD COLUMN moved INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE message DROP COLUMN moved;
