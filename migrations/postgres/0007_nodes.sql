-- The nodes that share the partitions among them. One that has not said so for a while is not
-- alive, and what it owns is free.
CREATE TABLE platform_nodes (
    node        TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- kept in the node's data folder
    address     TEXT NOT NULL,                         -- host:port at which other nodes reach it
    alive_until BIGINT NOT NULL                        -- microseconds since 1970, UTC
);
ALTER TABLE platform_nodes ENABLE ROW LEVEL SECURITY;
ALTER TABLE platform_nodes FORCE ROW LEVEL SECURITY;
CREATE POLICY of_platform ON platform_nodes
    USING (current_setting('app.platform', true) = 'on');
