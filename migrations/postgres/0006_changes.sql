-- Counts the changes of what every node keeps in memory, tenants and event types: one number tells
-- whether there is anything new, and each row bears that of its last change. It is raised in the
-- transaction of the change, whose lock on this row lasts to its end, so that no lower number comes
-- after a higher one. A row that is removed leaves no trace here; what others must see go is marked
-- before. It holds nothing of anybody, and changes of tenants raise it, so every role may.
CREATE TABLE platform_changes (
    only_one BIGINT NOT NULL PRIMARY KEY CHECK (only_one = 1),
    number   BIGINT NOT NULL
);
INSERT INTO platform_changes VALUES (1, 0);
ALTER TABLE platform_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE platform_changes FORCE ROW LEVEL SECURITY;
CREATE POLICY of_all ON platform_changes USING (true);

ALTER TABLE tenants ADD COLUMN change BIGINT NOT NULL DEFAULT 0;
ALTER TABLE event_types ADD COLUMN change BIGINT NOT NULL DEFAULT 0;
ALTER TABLE platform_event_types ADD COLUMN change BIGINT NOT NULL DEFAULT 0;
CREATE INDEX tenants_by_change ON tenants (change);

CREATE FUNCTION next_change() RETURNS BIGINT LANGUAGE SQL
AS $$ UPDATE platform_changes SET number = number + 1 RETURNING number $$;

CREATE FUNCTION number_tenant() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tenants SET change = next_change() WHERE number = NEW.number;
    RETURN NULL;
END $$;
CREATE TRIGGER tenants_added AFTER INSERT ON tenants
    FOR EACH ROW EXECUTE FUNCTION number_tenant();
CREATE TRIGGER tenants_changed AFTER UPDATE ON tenants
    FOR EACH ROW WHEN (NEW.change = OLD.change) EXECUTE FUNCTION number_tenant();

CREATE FUNCTION number_event_type() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE event_types SET change = next_change()
    WHERE tenant_id = NEW.tenant_id AND type = NEW.type;
    RETURN NULL;
END $$;
CREATE TRIGGER event_types_added AFTER INSERT ON event_types
    FOR EACH ROW EXECUTE FUNCTION number_event_type();
CREATE TRIGGER event_types_changed AFTER UPDATE ON event_types
    FOR EACH ROW WHEN (NEW.change = OLD.change) EXECUTE FUNCTION number_event_type();

CREATE FUNCTION number_platform_event_type() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE platform_event_types SET change = next_change() WHERE type = NEW.type;
    RETURN NULL;
END $$;
CREATE TRIGGER platform_event_types_added AFTER INSERT ON platform_event_types
    FOR EACH ROW EXECUTE FUNCTION number_platform_event_type();
CREATE TRIGGER platform_event_types_changed AFTER UPDATE ON platform_event_types
    FOR EACH ROW WHEN (NEW.change = OLD.change) EXECUTE FUNCTION number_platform_event_type();
