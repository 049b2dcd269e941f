-- How many partitions the topics of Kafka had when they were read first: by that it is told in which a
-- tenant lives.
CREATE TABLE platform_source (
    only_one   BIGINT NOT NULL PRIMARY KEY CHECK (only_one = 1),
    partitions BIGINT NOT NULL CHECK (partitions BETWEEN 1 AND 2147483647)
);
ALTER TABLE platform_source ENABLE ROW LEVEL SECURITY;
ALTER TABLE platform_source FORCE ROW LEVEL SECURITY;
CREATE POLICY of_platform ON platform_source
    USING (current_setting('app.platform', true) = 'on');

-- The schemas that messages have been read by: what they can be read by while their registry is away.
CREATE TABLE platform_schemas (
    registry TEXT COLLATE "C" NOT NULL, -- its address, without user and password
    id       BIGINT NOT NULL CHECK (id BETWEEN 0 AND 4294967295),
    schema   TEXT NOT NULL,             -- as the registry gave it
    PRIMARY KEY (registry, id)
);
ALTER TABLE platform_schemas ENABLE ROW LEVEL SECURITY;
ALTER TABLE platform_schemas FORCE ROW LEVEL SECURITY;
CREATE POLICY of_platform ON platform_schemas
    USING (current_setting('app.platform', true) = 'on');
