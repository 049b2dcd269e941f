-- The views that tenants define for themselves. `place` orders a tenant's views so that each reads
-- only those with a lower one.
CREATE TABLE own_views (
    tenant_id  BIGINT NOT NULL REFERENCES tenants (number),
    name       TEXT COLLATE "C" NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
    sql        TEXT NOT NULL,
    key        TEXT NOT NULL,   -- JSON array of columns; empty: all of them
    place      BIGINT NOT NULL,
    defined_at BIGINT NOT NULL, -- microseconds since 1970, UTC
    PRIMARY KEY (tenant_id, name)
);
ALTER TABLE own_views ENABLE ROW LEVEL SECURITY;
ALTER TABLE own_views FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON own_views
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
-- Every node computes the views of all tenants that it serves.
CREATE POLICY platform_reads ON own_views FOR SELECT
    USING (current_setting('app.platform', true) = 'on');
