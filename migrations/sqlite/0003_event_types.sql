-- The event types that tenants have registered, each for itself.
CREATE TABLE event_types (
    tenant     INTEGER NOT NULL REFERENCES tenants,
    type       TEXT NOT NULL CHECK (length(type) BETWEEN 3 AND 129), -- module.fact
    schema     TEXT NOT NULL,                                        -- Avro record, as it was sent
    created_at INTEGER NOT NULL,                                     -- microseconds since 1970, UTC
    changed_at INTEGER NOT NULL,                                     -- when the schema became this one
    PRIMARY KEY (tenant, type)
) STRICT, WITHOUT ROWID;

-- Those that the platform has registered for all tenants.
CREATE TABLE platform_event_types (
    type       TEXT NOT NULL PRIMARY KEY CHECK (length(type) BETWEEN 3 AND 129),
    schema     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
