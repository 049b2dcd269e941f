-- Tokens of producers, which an admin of the tenant gives out and takes back. The token itself is
-- nowhere: `hash` is its SHA-256, in hexadecimal.
CREATE TABLE service_tokens (
    tenant_id  BIGINT NOT NULL REFERENCES tenants (number),
    id         TEXT COLLATE "C" NOT NULL,
    name       TEXT NOT NULL,
    hash       TEXT COLLATE "C" NOT NULL CHECK (length(hash) = 64),
    created_by TEXT NOT NULL,   -- the subject of the token
    created_at BIGINT NOT NULL, -- microseconds since 1970, UTC
    expires_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX service_tokens_by_hash ON service_tokens (tenant_id, hash);
ALTER TABLE service_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE service_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON service_tokens
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
CREATE TRIGGER service_tokens_of_the_living BEFORE INSERT ON service_tokens
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();
