-- The nodes that share the partitions among them. One that has not said so for a while is not
-- alive, and what it owns is free.
CREATE TABLE platform_nodes (
    node        TEXT NOT NULL PRIMARY KEY, -- kept in the node's data folder
    address     TEXT NOT NULL,             -- host:port at which other nodes reach it
    alive_until INTEGER NOT NULL           -- microseconds since 1970, UTC
) STRICT, WITHOUT ROWID;
