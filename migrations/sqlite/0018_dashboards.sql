-- Dashboards of a tenant (docs/dashboards.md): what each is now, and the versions of it that are kept.
CREATE TABLE dashboards (
    tenant_id        INTEGER NOT NULL REFERENCES tenants (number),
    id               TEXT NOT NULL,
    version          INTEGER NOT NULL, -- 1, and one more with each change
    name             TEXT NOT NULL,
    changed_by       TEXT NOT NULL, -- the subject of the token; empty: the template
    created_at       INTEGER NOT NULL, -- microseconds since 1970, UTC
    changed_at       INTEGER NOT NULL,
    template         TEXT, -- the dashboard of a template that it was made from, as `retail/stock`
    template_version INTEGER,
    document         TEXT NOT NULL, -- a JSON object
    base             TEXT, -- the document as the template gave it
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER dashboards_of_the_living BEFORE INSERT ON dashboards
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;

-- The newest is what the dashboard is now.
CREATE TABLE dashboard_versions (
    tenant_id     INTEGER NOT NULL REFERENCES tenants (number),
    dashboard_id  TEXT NOT NULL,
    version       INTEGER NOT NULL,
    name          TEXT NOT NULL,
    changed_by    TEXT NOT NULL,
    changed_at    INTEGER NOT NULL,
    restored_from INTEGER, -- the version that it is again
    document      TEXT NOT NULL,
    PRIMARY KEY (tenant_id, dashboard_id, version)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER dashboard_versions_of_the_living BEFORE INSERT ON dashboard_versions
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;
