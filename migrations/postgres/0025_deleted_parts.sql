-- The last version of each report and rule of alerts of a template that a tenant has deleted: where it
-- is brought back, its versions go on from there.
CREATE TABLE deleted_parts (
    tenant_id BIGINT NOT NULL REFERENCES tenants (number),
    kind      TEXT COLLATE "C" NOT NULL, -- report, alert_rule
    id        TEXT COLLATE "C" NOT NULL,
    version   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, kind, id)
);
ALTER TABLE deleted_parts ENABLE ROW LEVEL SECURITY;
ALTER TABLE deleted_parts FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON deleted_parts
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
CREATE TRIGGER deleted_parts_of_the_living BEFORE INSERT ON deleted_parts
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();
