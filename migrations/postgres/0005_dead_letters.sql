-- Messages from Kafka that are no events, told apart by where they came from.
CREATE TABLE dead_letters (
    tenant_id   BIGINT NOT NULL REFERENCES tenants (number), -- whose key it has
    id          TEXT COLLATE "C" NOT NULL,        -- drawn once, what it is called by outside
    topic       TEXT COLLATE "C" NOT NULL,
    part        BIGINT NOT NULL,
    place       BIGINT NOT NULL,                  -- the offset
    reason      TEXT NOT NULL,
    key         BYTEA,
    value       BYTEA,                            -- its beginning, if it is long
    size        BIGINT NOT NULL,                  -- bytes of the whole value
    received_at BIGINT NOT NULL,                  -- microseconds since 1970, UTC
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, topic, part, place)
);
ALTER TABLE dead_letters ENABLE ROW LEVEL SECURITY;
ALTER TABLE dead_letters FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON dead_letters
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
-- There is one limit for the letters of all, so that they are counted together.
CREATE POLICY platform_reads ON dead_letters FOR SELECT
    USING (current_setting('app.platform', true) = 'on');

-- Those whose key is no tenant's, or in which there may be what is another tenant's.
CREATE TABLE platform_dead_letters (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    topic       TEXT COLLATE "C" NOT NULL,
    part        BIGINT NOT NULL,
    place       BIGINT NOT NULL,
    reason      TEXT NOT NULL,
    key         BYTEA,
    value       BYTEA,
    size        BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    UNIQUE (topic, part, place)
);
ALTER TABLE platform_dead_letters ENABLE ROW LEVEL SECURITY;
ALTER TABLE platform_dead_letters FORCE ROW LEVEL SECURITY;
CREATE POLICY of_platform ON platform_dead_letters
    USING (current_setting('app.platform', true) = 'on');

-- The key of the hashes by which event ids from Kafka are known, drawn once: 122 random bits.
CREATE TABLE platform_id_key (
    only_one BIGINT NOT NULL PRIMARY KEY CHECK (only_one = 1),
    id_key   BYTEA NOT NULL CHECK (length(id_key) = 16)
);
INSERT INTO platform_id_key VALUES (1, decode(replace(gen_random_uuid()::TEXT, '-', ''), 'hex'));
ALTER TABLE platform_id_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE platform_id_key FORCE ROW LEVEL SECURITY;
CREATE POLICY of_platform ON platform_id_key
    USING (current_setting('app.platform', true) = 'on');
