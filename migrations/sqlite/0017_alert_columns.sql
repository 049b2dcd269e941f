-- The columns of an alert's subject and details with their types, by which people read its values: a
-- JSON array; NULL: it fired before they were kept.
ALTER TABLE alerts ADD COLUMN columns TEXT;
