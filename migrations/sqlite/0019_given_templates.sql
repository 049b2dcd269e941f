-- What tenants were given of their templates (docs/templates.md): a newer version is merged with it.
CREATE TABLE given_templates (
    tenant_id INTEGER NOT NULL REFERENCES tenants (number),
    revision  INTEGER NOT NULL, -- 1, and one more with each version that is taken over
    given_at  INTEGER NOT NULL, -- microseconds since 1970, UTC
    template  TEXT NOT NULL, -- a JSON object: the template as it was then, with what it builds on
    PRIMARY KEY (tenant_id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER given_templates_of_the_living BEFORE INSERT ON given_templates
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;
