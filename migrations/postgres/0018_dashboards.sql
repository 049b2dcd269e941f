-- Dashboards of a tenant (docs/dashboards.md): what each is now, and the versions of it that are kept.
CREATE TABLE dashboards (
    tenant_id        BIGINT NOT NULL REFERENCES tenants (number),
    id               TEXT COLLATE "C" NOT NULL,
    version          BIGINT NOT NULL, -- 1, and one more with each change
    name             TEXT NOT NULL,
    changed_by       TEXT NOT NULL, -- the subject of the token; empty: the template
    created_at       BIGINT NOT NULL, -- microseconds since 1970, UTC
    changed_at       BIGINT NOT NULL,
    template         TEXT, -- the dashboard of a template that it was made from, as `retail/stock`
    template_version BIGINT,
    document         TEXT NOT NULL, -- a JSON object
    base             TEXT, -- the document as the template gave it
    PRIMARY KEY (tenant_id, id)
);
ALTER TABLE dashboards ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboards FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON dashboards
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
CREATE TRIGGER dashboards_of_the_living BEFORE INSERT ON dashboards
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();

-- The newest is what the dashboard is now.
CREATE TABLE dashboard_versions (
    tenant_id     BIGINT NOT NULL REFERENCES tenants (number),
    dashboard_id  TEXT COLLATE "C" NOT NULL,
    version       BIGINT NOT NULL,
    name          TEXT NOT NULL,
    changed_by    TEXT NOT NULL,
    changed_at    BIGINT NOT NULL,
    restored_from BIGINT, -- the version that it is again
    document      TEXT NOT NULL,
    PRIMARY KEY (tenant_id, dashboard_id, version)
);
ALTER TABLE dashboard_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON dashboard_versions
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
CREATE TRIGGER dashboard_versions_of_the_living BEFORE INSERT ON dashboard_versions
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();
