-- A tenant that is deleted keeps its row as a tombstone, so that its id and number are never given
-- out again; once its data is gone, nothing but these is left in it.
ALTER TABLE tenants ADD COLUMN deleted_at BIGINT; -- microseconds since 1970, UTC
ALTER TABLE tenants ADD COLUMN erased_at BIGINT;  -- when nothing of it was left

-- A call that was under way when its tenant was deleted stores nothing more. The lock on the
-- tenant's row makes a deletion wait for what began before it.
CREATE FUNCTION is_deleted(tenant BIGINT) RETURNS BOOLEAN LANGUAGE SQL
AS $$ SELECT deleted_at IS NOT NULL FROM tenants WHERE number = tenant FOR SHARE $$;

CREATE FUNCTION refuse_of_deleted() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF is_deleted(NEW.tenant_id) THEN
        RAISE EXCEPTION 'the tenant is deleted';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER own_views_of_the_living BEFORE INSERT ON own_views
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();
CREATE TRIGGER event_types_of_the_living BEFORE INSERT ON event_types
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();

CREATE FUNCTION ignore_of_deleted() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF is_deleted(NEW.tenant_id) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER dead_letters_of_the_living BEFORE INSERT ON dead_letters
    FOR EACH ROW EXECUTE FUNCTION ignore_of_deleted();

-- What the platform has done. Nothing is ever removed, and a record is finished once.
CREATE TABLE platform_audit (
    number      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          BIGINT NOT NULL,            -- microseconds since 1970, UTC
    actor       TEXT NOT NULL,              -- the subject of the token
    action      TEXT NOT NULL,              -- tenant_deleted
    tenant      TEXT NOT NULL,              -- its id
    events      BIGINT NOT NULL DEFAULT 0,  -- that were erased from history
    files       BIGINT NOT NULL DEFAULT 0,  -- of history that were rewritten or removed
    finished_at BIGINT
);
ALTER TABLE platform_audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE platform_audit FORCE ROW LEVEL SECURITY;
CREATE POLICY of_platform ON platform_audit
    USING (current_setting('app.platform', true) = 'on');

CREATE FUNCTION keep_audit() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a record of the audit is never removed';
END $$;
CREATE TRIGGER platform_audit_is_kept BEFORE DELETE ON platform_audit
    FOR EACH ROW EXECUTE FUNCTION keep_audit();
CREATE TRIGGER platform_audit_is_not_emptied BEFORE TRUNCATE ON platform_audit
    FOR EACH STATEMENT EXECUTE FUNCTION keep_audit();

CREATE FUNCTION finish_audit_once() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a record of the audit is never changed';
END $$;
CREATE TRIGGER platform_audit_is_finished_once BEFORE UPDATE ON platform_audit
    FOR EACH ROW WHEN (OLD.finished_at IS NOT NULL OR NEW.number <> OLD.number OR NEW.at <> OLD.at
        OR NEW.actor <> OLD.actor OR NEW.action <> OLD.action OR NEW.tenant <> OLD.tenant
        OR NEW.events < OLD.events OR NEW.files < OLD.files)
    EXECUTE FUNCTION finish_audit_once();
