-- What tenants have declared beside the fields of event types (docs/tenants.md): what their templates
-- gave them, and what their admins declare.
CREATE TABLE custom_fields (
    tenant_id BIGINT NOT NULL REFERENCES tenants (number),
    revision  BIGINT NOT NULL, -- 1, and one more with each change
    given     TEXT NOT NULL, -- a JSON array: what the template gave and the admin has left
    own       TEXT NOT NULL, -- a JSON array: what the admin has declared
    change    BIGINT NOT NULL DEFAULT 0, -- of platform_changes
    PRIMARY KEY (tenant_id)
);
ALTER TABLE given_templates NO FORCE ROW LEVEL SECURITY;
INSERT INTO custom_fields (tenant_id, revision, given, own)
    SELECT tenant_id, 1, (template::JSON -> 'custom_fields')::TEXT, '[]' FROM given_templates
    WHERE json_array_length(template::JSON -> 'custom_fields') > 0;
ALTER TABLE given_templates FORCE ROW LEVEL SECURITY;
ALTER TABLE custom_fields ENABLE ROW LEVEL SECURITY;
ALTER TABLE custom_fields FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON custom_fields
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
-- Every node keeps the fields of all tenants in memory.
CREATE POLICY platform_reads ON custom_fields FOR SELECT
    USING (current_setting('app.platform', true) = 'on');
CREATE TRIGGER custom_fields_of_the_living BEFORE INSERT ON custom_fields
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();

CREATE FUNCTION number_custom_fields() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE custom_fields SET change = next_change() WHERE tenant_id = NEW.tenant_id;
    RETURN NULL;
END $$;
CREATE TRIGGER custom_fields_added AFTER INSERT ON custom_fields
    FOR EACH ROW EXECUTE FUNCTION number_custom_fields();
CREATE TRIGGER custom_fields_changed AFTER UPDATE ON custom_fields
    FOR EACH ROW WHEN (NEW.change = OLD.change) EXECUTE FUNCTION number_custom_fields();
