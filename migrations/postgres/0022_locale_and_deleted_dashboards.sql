-- By which language and region numbers and dates are written for a tenant: a BCP 47 tag.
ALTER TABLE tenants ADD COLUMN locale TEXT NOT NULL DEFAULT 'en-GB';

-- The last version of each dashboard of a template that a tenant has deleted: where it is brought
-- back, its versions go on from there.
CREATE TABLE deleted_dashboards (
    tenant_id    BIGINT NOT NULL REFERENCES tenants (number),
    dashboard_id TEXT COLLATE "C" NOT NULL,
    version      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, dashboard_id)
);
ALTER TABLE deleted_dashboards ENABLE ROW LEVEL SECURITY;
ALTER TABLE deleted_dashboards FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON deleted_dashboards
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
CREATE TRIGGER deleted_dashboards_of_the_living BEFORE INSERT ON deleted_dashboards
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();
