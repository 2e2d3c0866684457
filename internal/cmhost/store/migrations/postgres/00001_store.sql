-- +goose Up
CREATE TABLE store (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    epoch      TEXT NOT NULL,
    audience   TEXT NOT NULL,
    log_length BIGINT NOT NULL,
    log_head   TEXT NOT NULL
);

-- The append-only log. Everything else is derived from it.
CREATE TABLE log (
    idx      BIGINT PRIMARY KEY,
    kind     TEXT NOT NULL,
    name     TEXT COLLATE "C" NOT NULL,
    revision BIGINT,          -- of token procedures
    hash     TEXT NOT NULL,
    entry    TEXT NOT NULL    -- canonical JSON
);
CREATE UNIQUE INDEX log_revisions ON log (name, revision) WHERE revision > 0;
CREATE INDEX log_history ON log (name, idx) WHERE revision IS NOT NULL;

-- The token procedures as they are now.
CREATE TABLE procedures (
    name    TEXT COLLATE "C" PRIMARY KEY,
    idx     BIGINT NOT NULL,
    summary TEXT NOT NULL     -- as listed, JSON
);

-- The register of officers and the catalogue as they are now.
CREATE TABLE documents (
    kind TEXT PRIMARY KEY,
    etag TEXT NOT NULL,
    body TEXT NOT NULL        -- as served, JSON
);
