-- A tenant that is deleted keeps its row as a tombstone, so that its id and number are never given
-- out again; once its data is gone, nothing but these is left in it.
ALTER TABLE tenants ADD COLUMN deleted_at INTEGER; -- microseconds since 1970, UTC
ALTER TABLE tenants ADD COLUMN erased_at INTEGER;  -- when nothing of it was left

-- A call that was under way when its tenant was deleted stores nothing more.
CREATE TRIGGER own_views_of_the_living BEFORE INSERT ON own_views
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;
CREATE TRIGGER event_types_of_the_living BEFORE INSERT ON event_types
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;
CREATE TRIGGER dead_letters_of_the_living BEFORE INSERT ON dead_letters
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(IGNORE);
END;

-- What the platform has done. Nothing is ever removed, and a record is finished once.
CREATE TABLE platform_audit (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,            -- microseconds since 1970, UTC
    actor       TEXT NOT NULL,               -- the subject of the token
    action      TEXT NOT NULL,               -- tenant_deleted
    tenant      TEXT NOT NULL,               -- its id
    events      INTEGER NOT NULL DEFAULT 0,  -- that were erased from history
    files       INTEGER NOT NULL DEFAULT 0,  -- of history that were rewritten or removed
    finished_at INTEGER
) STRICT;
CREATE TRIGGER platform_audit_is_kept BEFORE DELETE ON platform_audit BEGIN
    SELECT RAISE(ABORT, 'a record of the audit is never removed');
END;
CREATE TRIGGER platform_audit_is_finished_once BEFORE UPDATE ON platform_audit
WHEN OLD.finished_at IS NOT NULL OR NEW.number <> OLD.number OR NEW.at <> OLD.at
    OR NEW.actor <> OLD.actor OR NEW.action <> OLD.action OR NEW.tenant <> OLD.tenant
    OR NEW.events < OLD.events OR NEW.files < OLD.files
BEGIN
    SELECT RAISE(ABORT, 'a record of the audit is never changed');
END;
