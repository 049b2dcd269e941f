-- The views that tenants define for themselves. `place` orders a tenant's views so that each reads
-- only those with a lower one.
CREATE TABLE own_views (
    tenant     INTEGER NOT NULL REFERENCES tenants (number),
    name       TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
    sql        TEXT NOT NULL,
    key        TEXT NOT NULL,    -- JSON array of columns; empty: all of them
    place      INTEGER NOT NULL,
    defined_at INTEGER NOT NULL, -- microseconds since 1970, UTC
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
