-- What tenants have declared beside the fields of event types (docs/tenants.md): what their templates
-- gave them, and what their admins declare.
CREATE TABLE custom_fields (
    tenant_id INTEGER NOT NULL REFERENCES tenants (number),
    revision  INTEGER NOT NULL, -- 1, and one more with each change
    given     TEXT NOT NULL, -- a JSON array: what the template gave and the admin has left
    own       TEXT NOT NULL, -- a JSON array: what the admin has declared
    change    INTEGER NOT NULL DEFAULT 0, -- of platform_changes
    PRIMARY KEY (tenant_id)
) STRICT, WITHOUT ROWID;
INSERT INTO custom_fields (tenant_id, revision, given, own)
    SELECT tenant_id, 1, json_extract(template, '$.custom_fields'), '[]' FROM given_templates
    WHERE json_array_length(template, '$.custom_fields') > 0;
CREATE TRIGGER custom_fields_of_the_living BEFORE INSERT ON custom_fields
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;
CREATE TRIGGER custom_fields_added AFTER INSERT ON custom_fields BEGIN
    UPDATE platform_changes SET number = number + 1;
    UPDATE custom_fields SET change = (SELECT number FROM platform_changes)
    WHERE tenant_id = NEW.tenant_id;
END;
CREATE TRIGGER custom_fields_changed AFTER UPDATE ON custom_fields WHEN NEW.change = OLD.change BEGIN
    UPDATE platform_changes SET number = number + 1;
    UPDATE custom_fields SET change = (SELECT number FROM platform_changes)
    WHERE tenant_id = NEW.tenant_id;
END;
