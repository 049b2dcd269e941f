-- The tenants of this installation. The number is what data is filed under; an identity column never
-- gives one out twice, so what a former tenant left behind can never surface under a new one.
CREATE TABLE tenants (
    number     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY CHECK (number BETWEEN 1 AND 4294967295),
    id         TEXT COLLATE "C" NOT NULL UNIQUE CHECK (length(id) BETWEEN 1 AND 64),
    name       TEXT NOT NULL,
    timezone   TEXT NOT NULL,                              -- IANA name
    currency   TEXT NOT NULL CHECK (length(currency) = 3), -- ISO 4217
    clock      TEXT NOT NULL,                              -- wall, events or fixed:YYYY-MM-DD
    vertical   TEXT,
    modules    TEXT,                                       -- JSON array; NULL: all there are
    branding   TEXT,                                       -- JSON object
    created_at BIGINT NOT NULL                             -- microseconds since 1970, UTC
);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
-- Nobody removes a row of this table, and a tenant sees its own only.
CREATE POLICY tenant_reads_itself ON tenants FOR SELECT
    USING (number = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
CREATE POLICY tenant_changes_itself ON tenants FOR UPDATE
    USING (number = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
CREATE POLICY platform_reads ON tenants FOR SELECT
    USING (current_setting('app.platform', true) = 'on');
CREATE POLICY platform_creates ON tenants FOR INSERT
    WITH CHECK (current_setting('app.platform', true) = 'on');
CREATE POLICY platform_changes ON tenants FOR UPDATE
    USING (current_setting('app.platform', true) = 'on');
