-- The event types that tenants have registered, each for itself.
CREATE TABLE event_types (
    tenant_id  BIGINT NOT NULL REFERENCES tenants (number),
    type       TEXT COLLATE "C" NOT NULL CHECK (length(type) BETWEEN 3 AND 129), -- module.fact
    schema     TEXT NOT NULL,   -- Avro record, as it was sent
    created_at BIGINT NOT NULL, -- microseconds since 1970, UTC
    changed_at BIGINT NOT NULL, -- when the schema became this one
    PRIMARY KEY (tenant_id, type)
);
ALTER TABLE event_types ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_types FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON event_types
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
-- Every node keeps the types of all tenants in memory.
CREATE POLICY platform_reads ON event_types FOR SELECT
    USING (current_setting('app.platform', true) = 'on');

-- Those that the platform has registered for all tenants.
CREATE TABLE platform_event_types (
    type       TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(type) BETWEEN 3 AND 129),
    schema     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
ALTER TABLE platform_event_types ENABLE ROW LEVEL SECURITY;
ALTER TABLE platform_event_types FORCE ROW LEVEL SECURITY;
CREATE POLICY of_platform ON platform_event_types
    USING (current_setting('app.platform', true) = 'on');
