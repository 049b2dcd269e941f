-- Alerts of a tenant (docs/alerts.md): the rules, what they have said, and whom that is told. What is
-- to be delivered stands in report_jobs too, as the kind `notify`.
CREATE TABLE alert_rules (
    tenant_id  INTEGER NOT NULL REFERENCES tenants (number),
    id         TEXT NOT NULL,
    version    INTEGER NOT NULL, -- 1, and one more with each replacement
    owner      TEXT NOT NULL, -- the subject whose rights it is evaluated by; empty: a built-in one
    definition TEXT NOT NULL, -- a JSON object
    audience   INTEGER NOT NULL, -- the least role that sees its alerts: 1 executive, 2 analyst, 3 admin
    state      TEXT NOT NULL, -- waiting, live, idle, failed
    error      TEXT,
    sequence   INTEGER NOT NULL, -- the tenant's position at which its alerts were decided last
    created_at INTEGER NOT NULL, -- microseconds since 1970, UTC
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER alert_rules_of_the_living BEFORE INSERT ON alert_rules
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;

CREATE TABLE alerts (
    tenant_id       INTEGER NOT NULL REFERENCES tenants (number),
    id              TEXT NOT NULL,
    rule_id         TEXT NOT NULL,
    subject_key     TEXT NOT NULL, -- a hash of the subject
    subject         TEXT NOT NULL, -- a JSON object: the columns of the rule's key
    details         TEXT NOT NULL, -- a JSON object: the other columns when it fired
    title           TEXT NOT NULL,
    severity        TEXT NOT NULL,
    state           TEXT NOT NULL, -- open, cleared
    sequence        INTEGER NOT NULL, -- the tenant's position at which it fired
    fired_at        INTEGER NOT NULL,
    cleared_at      INTEGER,
    acknowledged_by TEXT,
    acknowledged_at INTEGER,
    snoozed_until   INTEGER,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
-- Of a rule and a subject there is one that is open, whoever decides.
CREATE UNIQUE INDEX alerts_open ON alerts (tenant_id, rule_id, subject_key) WHERE state = 'open';
CREATE UNIQUE INDEX alerts_by_state ON alerts (tenant_id, state, id);
CREATE TRIGGER alerts_of_the_living BEFORE INSERT ON alerts
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;

-- What became of each alert. It fires once and clears once.
CREATE TABLE alert_transitions (
    tenant_id     INTEGER NOT NULL REFERENCES tenants (number),
    alert_id      TEXT NOT NULL,
    number        INTEGER NOT NULL, -- 1, 2, 3, … of the alert
    kind          TEXT NOT NULL, -- fired, cleared, acknowledged, snoozed, woken
    at            INTEGER NOT NULL,
    actor         TEXT, -- the subject of the token; NULL: the rule
    sequence      INTEGER, -- the tenant's position, where the rule decided
    snoozed_until INTEGER,
    PRIMARY KEY (tenant_id, alert_id, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX alert_transitions_once ON alert_transitions (tenant_id, alert_id, kind)
    WHERE kind IN ('fired', 'cleared');
CREATE TRIGGER alert_transitions_of_the_living BEFORE INSERT ON alert_transitions
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;

-- Whom a transition is told: written in the transaction that makes it.
CREATE TABLE alert_deliveries (
    tenant_id   INTEGER NOT NULL REFERENCES tenants (number),
    alert_id    TEXT NOT NULL,
    place       INTEGER NOT NULL, -- 0, 1, 2, … of the alert; of its job in report_jobs too
    number      INTEGER NOT NULL, -- of the transition that is told
    state       TEXT NOT NULL, -- waiting, done, failed
    target      TEXT NOT NULL, -- a JSON object
    attempts    INTEGER NOT NULL,
    finished_at INTEGER,
    error       TEXT,
    PRIMARY KEY (tenant_id, alert_id, place)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER alert_deliveries_of_the_living BEFORE INSERT ON alert_deliveries
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;
