-- +goose Up
-- Which media of an offered size is here already.
CREATE INDEX message_size ON message (media_bytes) WHERE complete = 1 AND media IS NOT NULL;

-- +goose Down
DROP INDEX message_size;
