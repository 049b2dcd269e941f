-- A letter that only a header calls JSON is given to Kafka again with it. A letter with `missed` stands
-- for so many more of its sender than are kept, from `place` to `last_place` in its topic.
ALTER TABLE dead_letters ADD COLUMN is_json BIGINT NOT NULL DEFAULT 0;
ALTER TABLE dead_letters ADD COLUMN missed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE dead_letters ADD COLUMN last_place BIGINT;
ALTER TABLE platform_dead_letters ADD COLUMN is_json BIGINT NOT NULL DEFAULT 0;
ALTER TABLE platform_dead_letters ADD COLUMN missed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE platform_dead_letters ADD COLUMN last_place BIGINT;

-- Sign-ins that an admin of the tenant has ended: no token of the subject that was issued before `ended_at`
-- holds. What `expires_at` is over has no effect any more: every such token has expired.
CREATE TABLE revocations (
    tenant_id  BIGINT NOT NULL REFERENCES tenants (number),
    subject    TEXT COLLATE "C" NOT NULL,
    ended_at   BIGINT NOT NULL, -- microseconds since 1970, UTC
    ended_by   TEXT NOT NULL,   -- the subject of the token
    expires_at BIGINT NOT NULL,
    change     BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, subject)
);
ALTER TABLE revocations ENABLE ROW LEVEL SECURITY;
ALTER TABLE revocations FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON revocations
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
-- Every node holds those of all tenants in memory.
CREATE POLICY platform_reads ON revocations FOR SELECT
    USING (current_setting('app.platform', true) = 'on');
CREATE TRIGGER revocations_of_the_living BEFORE INSERT ON revocations
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();
CREATE FUNCTION number_revocation() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE revocations SET change = next_change()
    WHERE tenant_id = NEW.tenant_id AND subject = NEW.subject;
    RETURN NULL;
END $$;
CREATE TRIGGER revocations_added AFTER INSERT ON revocations
    FOR EACH ROW EXECUTE FUNCTION number_revocation();
CREATE TRIGGER revocations_changed AFTER UPDATE ON revocations
    FOR EACH ROW WHEN (NEW.change = OLD.change) EXECUTE FUNCTION number_revocation();
