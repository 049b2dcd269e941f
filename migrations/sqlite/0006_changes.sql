-- Counts the changes of what every node keeps in memory, tenants and event types: one number tells
-- whether there is anything new, and each row bears that of its last change. It is raised in the
-- transaction of the change, and those take turns, so that no lower number comes after a higher one.
-- A row that is removed leaves no trace here; what others must see go is marked before.
CREATE TABLE platform_changes (
    only_one INTEGER NOT NULL PRIMARY KEY CHECK (only_one = 1),
    number   INTEGER NOT NULL
) STRICT;
INSERT INTO platform_changes VALUES (1, 0);

ALTER TABLE tenants ADD COLUMN change INTEGER NOT NULL DEFAULT 0;
ALTER TABLE event_types ADD COLUMN change INTEGER NOT NULL DEFAULT 0;
ALTER TABLE platform_event_types ADD COLUMN change INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tenants_by_change ON tenants (change);

CREATE TRIGGER tenants_added AFTER INSERT ON tenants BEGIN
    UPDATE platform_changes SET number = number + 1;
    UPDATE tenants SET change = (SELECT number FROM platform_changes) WHERE number = NEW.number;
END;
CREATE TRIGGER tenants_changed AFTER UPDATE ON tenants WHEN NEW.change = OLD.change BEGIN
    UPDATE platform_changes SET number = number + 1;
    UPDATE tenants SET change = (SELECT number FROM platform_changes) WHERE number = NEW.number;
END;
CREATE TRIGGER event_types_added AFTER INSERT ON event_types BEGIN
    UPDATE platform_changes SET number = number + 1;
    UPDATE event_types SET change = (SELECT number FROM platform_changes)
    WHERE tenant = NEW.tenant AND type = NEW.type;
END;
CREATE TRIGGER event_types_changed AFTER UPDATE ON event_types WHEN NEW.change = OLD.change BEGIN
    UPDATE platform_changes SET number = number + 1;
    UPDATE event_types SET change = (SELECT number FROM platform_changes)
    WHERE tenant = NEW.tenant AND type = NEW.type;
END;
CREATE TRIGGER platform_event_types_added AFTER INSERT ON platform_event_types BEGIN
    UPDATE platform_changes SET number = number + 1;
    UPDATE platform_event_types SET change = (SELECT number FROM platform_changes)
    WHERE type = NEW.type;
END;
CREATE TRIGGER platform_event_types_changed AFTER UPDATE ON platform_event_types
WHEN NEW.change = OLD.change BEGIN
    UPDATE platform_changes SET number = number + 1;
    UPDATE platform_event_types SET change = (SELECT number FROM platform_changes)
    WHERE type = NEW.type;
END;
