-- What was done, by whom, when and from where: a chain of records for each tenant, and one for the
-- platform (docs/audit.md). A record is never changed, and removed only with its tenant.
CREATE TABLE audit (
    tenant_id INTEGER NOT NULL REFERENCES tenants (number),
    seq    INTEGER NOT NULL, -- 1, 2, 3, … of its tenant
    at     INTEGER NOT NULL, -- microseconds since 1970, UTC
    actor  TEXT NOT NULL,    -- the subject of the token; empty if nobody was known
    source TEXT NOT NULL,    -- the address it came from
    action TEXT NOT NULL,    -- sign_in, query, read, download, subscribe, change, look, refusal
    object TEXT NOT NULL,    -- the call, or what else was acted on
    status INTEGER NOT NULL, -- of the answer, as in HTTP
    detail TEXT NOT NULL,    -- a JSON object
    hash   BLOB NOT NULL,    -- over the hash before and all of the above
    PRIMARY KEY (tenant_id, seq)
) STRICT, WITHOUT ROWID;

-- Where each chain ends, sealed with a key that is not in this database.
CREATE TABLE audit_heads (
    tenant_id INTEGER NOT NULL REFERENCES tenants (number) PRIMARY KEY,
    seq    INTEGER NOT NULL,
    hash   BLOB NOT NULL,
    key_id TEXT NOT NULL,
    seal   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The platform's own, of the same form.
CREATE TABLE platform_audit_chain (
    seq    INTEGER NOT NULL PRIMARY KEY,
    at     INTEGER NOT NULL,
    actor  TEXT NOT NULL,
    source TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    status INTEGER NOT NULL,
    detail TEXT NOT NULL,
    hash   BLOB NOT NULL
) STRICT;
CREATE TABLE platform_audit_heads (
    number INTEGER NOT NULL PRIMARY KEY CHECK (number = 1),
    seq    INTEGER NOT NULL,
    hash   BLOB NOT NULL,
    key_id TEXT NOT NULL,
    seal   BLOB NOT NULL
) STRICT;

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'a record of the audit is never changed');
END;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = OLD.tenant_id AND deleted_at IS NULL) BEGIN
    SELECT RAISE(ABORT, 'a record of the audit is never removed');
END;
CREATE TRIGGER platform_audit_chain_is_never_changed BEFORE UPDATE ON platform_audit_chain BEGIN
    SELECT RAISE(ABORT, 'a record of the audit is never changed');
END;
CREATE TRIGGER platform_audit_chain_is_kept BEFORE DELETE ON platform_audit_chain BEGIN
    SELECT RAISE(ABORT, 'a record of the audit is never removed');
END;
