-- +goose Up
-- Ids are compared by their bytes, whatever the language of the database.
CREATE TABLE watchword_factors (
    app        TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    strategy   TEXT COLLATE "C" NOT NULL,
    created_at BIGINT           NOT NULL, -- milliseconds since 1970
    version    BIGINT           NOT NULL, -- grows by one with each change
    data       BYTEA            NOT NULL, -- sealed
    PRIMARY KEY (app, id)
);
CREATE INDEX watchword_factors_subject ON watchword_factors (app, subject, created_at, id);

-- +goose Down
DROP TABLE watchword_factors;
