-- As of every other table of tenants: a record that was on its way when its tenant was deleted is not
-- stored, so that nothing comes behind the erasure.
CREATE TRIGGER audit_of_the_living BEFORE INSERT ON audit
    FOR EACH ROW EXECUTE FUNCTION ignore_of_deleted();
CREATE TRIGGER audit_heads_of_the_living BEFORE INSERT ON audit_heads
    FOR EACH ROW EXECUTE FUNCTION ignore_of_deleted();
