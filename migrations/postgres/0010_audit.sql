-- What was done, by whom, when and from where: a chain of records for each tenant, and one for the
-- platform (docs/audit.md). A record is never changed, and removed only with its tenant.
CREATE TABLE audit (
    tenant_id BIGINT NOT NULL REFERENCES tenants (number),
    seq       BIGINT NOT NULL, -- 1, 2, 3, … of its tenant
    at        BIGINT NOT NULL, -- microseconds since 1970, UTC
    actor     TEXT NOT NULL,   -- the subject of the token; empty if nobody was known
    source    TEXT NOT NULL,   -- the address it came from
    action    TEXT NOT NULL,   -- sign_in, query, read, download, subscribe, change, look, refusal
    object    TEXT NOT NULL,   -- the call, or what else was acted on
    status    BIGINT NOT NULL, -- of the answer, as in HTTP
    detail    TEXT NOT NULL,   -- a JSON object, kept as it was hashed
    hash      BYTEA NOT NULL,  -- over the hash before and all of the above
    PRIMARY KEY (tenant_id, seq)
);
ALTER TABLE audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON audit
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);

-- Where each chain ends, sealed with a key that is not in this database.
CREATE TABLE audit_heads (
    tenant_id BIGINT NOT NULL REFERENCES tenants (number) PRIMARY KEY,
    seq       BIGINT NOT NULL,
    hash      BYTEA NOT NULL,
    key_id    TEXT NOT NULL,
    seal      BYTEA NOT NULL
);
ALTER TABLE audit_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_heads FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON audit_heads
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);

-- The platform's own, of the same form.
CREATE TABLE platform_audit_chain (
    seq    BIGINT NOT NULL PRIMARY KEY,
    at     BIGINT NOT NULL,
    actor  TEXT NOT NULL,
    source TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    status BIGINT NOT NULL,
    detail TEXT NOT NULL,
    hash   BYTEA NOT NULL
);
ALTER TABLE platform_audit_chain ENABLE ROW LEVEL SECURITY;
ALTER TABLE platform_audit_chain FORCE ROW LEVEL SECURITY;
CREATE POLICY of_platform ON platform_audit_chain
    USING (current_setting('app.platform', true) = 'on');
CREATE TABLE platform_audit_heads (
    number BIGINT NOT NULL PRIMARY KEY CHECK (number = 1),
    seq    BIGINT NOT NULL,
    hash   BYTEA NOT NULL,
    key_id TEXT NOT NULL,
    seal   BYTEA NOT NULL
);
ALTER TABLE platform_audit_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE platform_audit_heads FORCE ROW LEVEL SECURITY;
CREATE POLICY of_platform ON platform_audit_heads
    USING (current_setting('app.platform', true) = 'on');

CREATE FUNCTION refuse_change_of_audit() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a record of the audit is never changed';
END $$;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_audit();
CREATE TRIGGER platform_audit_chain_is_never_changed BEFORE UPDATE ON platform_audit_chain
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_audit();

CREATE FUNCTION keep_audit_of_the_living() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF NOT is_deleted(OLD.tenant_id) THEN
        RAISE EXCEPTION 'a record of the audit is never removed';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION keep_audit_of_the_living();
CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION keep_audit();
CREATE TRIGGER platform_audit_chain_is_kept BEFORE DELETE ON platform_audit_chain
    FOR EACH ROW EXECUTE FUNCTION keep_audit();
CREATE TRIGGER platform_audit_chain_is_not_emptied BEFORE TRUNCATE ON platform_audit_chain
    FOR EACH STATEMENT EXECUTE FUNCTION keep_audit();
