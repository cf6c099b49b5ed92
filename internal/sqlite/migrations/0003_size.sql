-- +goose Up
-- Whether media of a size that was offered may be here already.
CREATE INDEX message_size ON message (media_bytes) WHERE complete = 1 AND media IS NOT NULL;

-- +goose Down
DROP INDEX message_size;
