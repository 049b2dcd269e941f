-- The template whose reference data a tenant is still to be given; NULL: it has all of it, or none
-- was asked for.
ALTER TABLE tenants ADD COLUMN template TEXT;
