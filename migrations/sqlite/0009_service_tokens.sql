-- Tokens of producers, which an admin of the tenant gives out and takes back. The token itself is
-- nowhere: `hash` is its SHA-256, in hexadecimal.
CREATE TABLE service_tokens (
    tenant_id  INTEGER NOT NULL REFERENCES tenants (number),
    id         TEXT NOT NULL,
    name       TEXT NOT NULL,
    hash       TEXT NOT NULL CHECK (length(hash) = 64),
    created_by TEXT NOT NULL,    -- the subject of the token
    created_at INTEGER NOT NULL, -- microseconds since 1970, UTC
    expires_at INTEGER,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX service_tokens_by_hash ON service_tokens (tenant_id, hash);
CREATE TRIGGER service_tokens_of_the_living BEFORE INSERT ON service_tokens
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;
