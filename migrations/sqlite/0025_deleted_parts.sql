-- The last version of each report and rule of alerts of a template that a tenant has deleted: where it
-- is brought back, its versions go on from there.
CREATE TABLE deleted_parts (
    tenant_id INTEGER NOT NULL REFERENCES tenants (number),
    kind      TEXT NOT NULL, -- report, alert_rule
    id        TEXT NOT NULL,
    version   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, kind, id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER deleted_parts_of_the_living BEFORE INSERT ON deleted_parts
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;
