-- Messages from Kafka that are no events, told apart by where they came from.
CREATE TABLE dead_letters (
    tenant      INTEGER NOT NULL REFERENCES tenants, -- whose key it has
    id          TEXT NOT NULL,                       -- drawn once, what it is called by outside
    topic       TEXT NOT NULL,
    part        INTEGER NOT NULL,
    place       INTEGER NOT NULL,                    -- the offset
    reason      TEXT NOT NULL,
    key         BLOB,
    value       BLOB,                                -- its beginning, if it is long
    size        INTEGER NOT NULL,                    -- bytes of the whole value
    received_at INTEGER NOT NULL,                    -- microseconds since 1970, UTC
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, topic, part, place)
) STRICT;

-- Those whose key is no tenant's, or in which there may be what is another tenant's.
CREATE TABLE platform_dead_letters (
    id          TEXT NOT NULL PRIMARY KEY,
    topic       TEXT NOT NULL,
    part        INTEGER NOT NULL,
    place       INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    key         BLOB,
    value       BLOB,
    size        INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    UNIQUE (topic, part, place)
) STRICT;

-- The key of the hashes by which event ids from Kafka are known, drawn once.
CREATE TABLE platform_id_key (
    only_one INTEGER NOT NULL PRIMARY KEY CHECK (only_one = 1),
    id_key   BLOB NOT NULL CHECK (length(id_key) = 16)
) STRICT;
INSERT INTO platform_id_key VALUES (1, randomblob(16));
