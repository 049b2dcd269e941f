-- By which language and region numbers and dates are written for a tenant: a BCP 47 tag.
ALTER TABLE tenants ADD COLUMN locale TEXT NOT NULL DEFAULT 'en-GB';

-- The last version of each dashboard of a template that a tenant has deleted: where it is brought
-- back, its versions go on from there.
CREATE TABLE deleted_dashboards (
    tenant_id    INTEGER NOT NULL REFERENCES tenants (number),
    dashboard_id TEXT NOT NULL,
    version      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, dashboard_id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER deleted_dashboards_of_the_living BEFORE INSERT ON deleted_dashboards
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;
