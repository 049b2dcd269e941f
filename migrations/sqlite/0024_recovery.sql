-- A letter that only a header calls JSON is given to Kafka again with it. A letter with `missed` stands
-- for so many more of its sender than are kept, from `place` to `last_place` in its topic.
ALTER TABLE dead_letters ADD COLUMN is_json INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dead_letters ADD COLUMN missed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dead_letters ADD COLUMN last_place INTEGER;
ALTER TABLE platform_dead_letters ADD COLUMN is_json INTEGER NOT NULL DEFAULT 0;
ALTER TABLE platform_dead_letters ADD COLUMN missed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE platform_dead_letters ADD COLUMN last_place INTEGER;

-- Sign-ins that an admin of the tenant has ended: no token of the subject that was issued before `ended_at`
-- holds. What `expires_at` is over has no effect any more: every such token has expired.
CREATE TABLE revocations (
    tenant_id  INTEGER NOT NULL REFERENCES tenants (number),
    subject    TEXT NOT NULL,
    ended_at   INTEGER NOT NULL, -- microseconds since 1970, UTC
    ended_by   TEXT NOT NULL,    -- the subject of the token
    expires_at INTEGER NOT NULL,
    change     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, subject)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER revocations_of_the_living BEFORE INSERT ON revocations
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;
-- Every node keeps them in memory.
CREATE TRIGGER revocations_added AFTER INSERT ON revocations BEGIN
    UPDATE platform_changes SET number = number + 1;
    UPDATE revocations SET change = (SELECT number FROM platform_changes)
    WHERE tenant_id = NEW.tenant_id AND subject = NEW.subject;
END;
CREATE TRIGGER revocations_changed AFTER UPDATE ON revocations WHEN NEW.change = OLD.change BEGIN
    UPDATE platform_changes SET number = number + 1;
    UPDATE revocations SET change = (SELECT number FROM platform_changes)
    WHERE tenant_id = NEW.tenant_id AND subject = NEW.subject;
END;
