-- As of every other table of tenants: a record that was on its way when its tenant was deleted is not
-- stored, so that nothing comes behind the erasure.
CREATE TRIGGER audit_of_the_living BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(IGNORE);
END;
CREATE TRIGGER audit_heads_of_the_living BEFORE INSERT ON audit_heads
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(IGNORE);
END;
