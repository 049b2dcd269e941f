-- Of which types the values in an alert's subject and details are, so that they can be said as people
-- read them: a JSON object; NULL: it fired before they were kept.
ALTER TABLE alerts ADD COLUMN types TEXT;
