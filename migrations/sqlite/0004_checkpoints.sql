-- Who owns a partition. The epoch grows with each owner and is the fence: a commit that names
-- another is refused. `number` is that of the newest checkpoint.
CREATE TABLE platform_partitions (
    part        INTEGER NOT NULL PRIMARY KEY CHECK (part BETWEEN 0 AND 4294967295),
    owner       TEXT NOT NULL,
    epoch       INTEGER NOT NULL CHECK (epoch > 0),
    number      INTEGER NOT NULL CHECK (number >= 0),
    acquired_at INTEGER NOT NULL  -- microseconds since 1970, UTC
) STRICT;

-- The checkpoints that are kept.
CREATE TABLE platform_checkpoints (
    part         INTEGER NOT NULL REFERENCES platform_partitions (part),
    number       INTEGER NOT NULL,
    epoch        INTEGER NOT NULL, -- of the owner who committed it
    manifest     TEXT NOT NULL,    -- the object that lists its files
    checksum     TEXT NOT NULL,    -- of the manifest
    committed_at INTEGER NOT NULL, -- microseconds since 1970, UTC
    PRIMARY KEY (part, number)
) STRICT, WITHOUT ROWID;
