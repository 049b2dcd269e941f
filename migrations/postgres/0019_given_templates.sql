-- What tenants were given of their templates (docs/templates.md): a newer version is merged with it.
CREATE TABLE given_templates (
    tenant_id BIGINT NOT NULL REFERENCES tenants (number),
    revision  BIGINT NOT NULL, -- 1, and one more with each version that is taken over
    given_at  BIGINT NOT NULL, -- microseconds since 1970, UTC
    template  TEXT NOT NULL, -- a JSON object: the template as it was then, with what it builds on
    PRIMARY KEY (tenant_id)
);
ALTER TABLE given_templates ENABLE ROW LEVEL SECURITY;
ALTER TABLE given_templates FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON given_templates
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
CREATE TRIGGER given_templates_of_the_living BEFORE INSERT ON given_templates
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();
