-- Who owns a partition. The epoch grows with each owner and is the fence: a commit that names
-- another is refused. `number` is that of the newest checkpoint.
CREATE TABLE platform_partitions (
    part        BIGINT NOT NULL PRIMARY KEY CHECK (part BETWEEN 0 AND 4294967295),
    owner       TEXT NOT NULL,
    epoch       BIGINT NOT NULL CHECK (epoch > 0),
    number      BIGINT NOT NULL CHECK (number >= 0),
    acquired_at BIGINT NOT NULL -- microseconds since 1970, UTC
);
ALTER TABLE platform_partitions ENABLE ROW LEVEL SECURITY;
ALTER TABLE platform_partitions FORCE ROW LEVEL SECURITY;
CREATE POLICY of_platform ON platform_partitions
    USING (current_setting('app.platform', true) = 'on');

-- The checkpoints that are kept.
CREATE TABLE platform_checkpoints (
    part         BIGINT NOT NULL REFERENCES platform_partitions (part),
    number       BIGINT NOT NULL,
    epoch        BIGINT NOT NULL, -- of the owner who committed it
    manifest     TEXT NOT NULL,   -- the object that lists its files
    checksum     TEXT NOT NULL,   -- of the manifest
    committed_at BIGINT NOT NULL, -- microseconds since 1970, UTC
    PRIMARY KEY (part, number)
);
ALTER TABLE platform_checkpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE platform_checkpoints FORCE ROW LEVEL SECURITY;
CREATE POLICY of_platform ON platform_checkpoints
    USING (current_setting('app.platform', true) = 'on');
