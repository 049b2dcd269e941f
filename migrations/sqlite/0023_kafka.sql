-- How many partitions the topics of Kafka had when they were read first: by that it is told in which a
-- tenant lives.
CREATE TABLE platform_source (
    only_one   INTEGER NOT NULL PRIMARY KEY CHECK (only_one = 1),
    partitions INTEGER NOT NULL CHECK (partitions BETWEEN 1 AND 2147483647)
) STRICT;

-- The schemas that messages have been read by: what they can be read by while their registry is away.
CREATE TABLE platform_schemas (
    registry TEXT NOT NULL,    -- its address, without user and password
    id       INTEGER NOT NULL CHECK (id BETWEEN 0 AND 4294967295),
    schema   TEXT NOT NULL,    -- as the registry gave it
    PRIMARY KEY (registry, id)
) STRICT, WITHOUT ROWID;
