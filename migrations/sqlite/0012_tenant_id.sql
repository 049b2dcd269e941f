-- One name for the tenant's number in every table that has it.
ALTER TABLE own_views RENAME COLUMN tenant TO tenant_id;
ALTER TABLE event_types RENAME COLUMN tenant TO tenant_id;
ALTER TABLE dead_letters RENAME COLUMN tenant TO tenant_id;
