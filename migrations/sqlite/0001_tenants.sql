-- The tenants of this installation. The number is what data is filed under; AUTOINCREMENT never
-- gives one out twice, so what a former tenant left behind can never surface under a new one.
CREATE TABLE tenants (
    number     INTEGER PRIMARY KEY AUTOINCREMENT CHECK (number BETWEEN 1 AND 4294967295),
    id         TEXT NOT NULL UNIQUE CHECK (length(id) BETWEEN 1 AND 64),
    name       TEXT NOT NULL,
    timezone   TEXT NOT NULL,                             -- IANA name
    currency   TEXT NOT NULL CHECK (length(currency) = 3), -- ISO 4217
    clock      TEXT NOT NULL,                             -- wall, events or fixed:YYYY-MM-DD
    vertical   TEXT,
    modules    TEXT,                                      -- JSON array; NULL: all there are
    branding   TEXT,                                      -- JSON object
    created_at INTEGER NOT NULL                           -- microseconds since 1970, UTC
) STRICT;
