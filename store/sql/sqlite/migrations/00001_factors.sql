-- +goose Up
CREATE TABLE watchword_factors (
    app        TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    strategy   TEXT    NOT NULL,
    created_at INTEGER NOT NULL, -- milliseconds since 1970
    version    INTEGER NOT NULL, -- grows by one with each change
    data       BLOB    NOT NULL, -- sealed
    PRIMARY KEY (app, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX watchword_factors_subject ON watchword_factors (app, subject, created_at, id);

-- +goose Down
DROP TABLE watchword_factors;
