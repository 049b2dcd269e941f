-- Alerts of a tenant (docs/alerts.md): the rules, what they have said, and whom that is told. What is
-- to be delivered stands in report_jobs too, as the kind `notify`.
CREATE TABLE alert_rules (
    tenant_id  BIGINT NOT NULL REFERENCES tenants (number),
    id         TEXT COLLATE "C" NOT NULL,
    version    BIGINT NOT NULL, -- 1, and one more with each replacement
    owner      TEXT NOT NULL, -- the subject whose rights it is evaluated by; empty: a built-in one
    definition TEXT NOT NULL, -- a JSON object
    audience   BIGINT NOT NULL, -- the least role that sees its alerts: 1 executive, 2 analyst, 3 admin
    state      TEXT COLLATE "C" NOT NULL, -- waiting, live, idle, failed
    error      TEXT,
    sequence   BIGINT NOT NULL, -- the tenant's position at which its alerts were decided last
    created_at BIGINT NOT NULL, -- microseconds since 1970, UTC
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
ALTER TABLE alert_rules ENABLE ROW LEVEL SECURITY;
ALTER TABLE alert_rules FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON alert_rules
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
CREATE TRIGGER alert_rules_of_the_living BEFORE INSERT ON alert_rules
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();

CREATE TABLE alerts (
    tenant_id       BIGINT NOT NULL REFERENCES tenants (number),
    id              TEXT COLLATE "C" NOT NULL,
    rule_id         TEXT COLLATE "C" NOT NULL,
    subject_key     TEXT COLLATE "C" NOT NULL, -- a hash of the subject
    subject         TEXT NOT NULL, -- a JSON object: the columns of the rule's key
    details         TEXT NOT NULL, -- a JSON object: the other columns when it fired
    title           TEXT NOT NULL,
    severity        TEXT NOT NULL,
    state           TEXT COLLATE "C" NOT NULL, -- open, cleared
    sequence        BIGINT NOT NULL, -- the tenant's position at which it fired
    fired_at        BIGINT NOT NULL,
    cleared_at      BIGINT,
    acknowledged_by TEXT,
    acknowledged_at BIGINT,
    snoozed_until   BIGINT,
    PRIMARY KEY (tenant_id, id)
);
ALTER TABLE alerts ENABLE ROW LEVEL SECURITY;
ALTER TABLE alerts FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON alerts
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
-- Of a rule and a subject there is one that is open, whoever decides.
CREATE UNIQUE INDEX alerts_open ON alerts (tenant_id, rule_id, subject_key) WHERE state = 'open';
CREATE UNIQUE INDEX alerts_by_state ON alerts (tenant_id, state, id);
CREATE TRIGGER alerts_of_the_living BEFORE INSERT ON alerts
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();

-- What became of each alert. It fires once and clears once.
CREATE TABLE alert_transitions (
    tenant_id     BIGINT NOT NULL REFERENCES tenants (number),
    alert_id      TEXT COLLATE "C" NOT NULL,
    number        BIGINT NOT NULL, -- 1, 2, 3, … of the alert
    kind          TEXT COLLATE "C" NOT NULL, -- fired, cleared, acknowledged, snoozed, woken
    at            BIGINT NOT NULL,
    actor         TEXT, -- the subject of the token; NULL: the rule
    sequence      BIGINT, -- the tenant's position, where the rule decided
    snoozed_until BIGINT,
    PRIMARY KEY (tenant_id, alert_id, number)
);
ALTER TABLE alert_transitions ENABLE ROW LEVEL SECURITY;
ALTER TABLE alert_transitions FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON alert_transitions
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
CREATE UNIQUE INDEX alert_transitions_once ON alert_transitions (tenant_id, alert_id, kind)
    WHERE kind IN ('fired', 'cleared');
CREATE TRIGGER alert_transitions_of_the_living BEFORE INSERT ON alert_transitions
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();

-- Whom a transition is told: written in the transaction that makes it.
CREATE TABLE alert_deliveries (
    tenant_id   BIGINT NOT NULL REFERENCES tenants (number),
    alert_id    TEXT COLLATE "C" NOT NULL,
    place       BIGINT NOT NULL, -- 0, 1, 2, … of the alert; of its job in report_jobs too
    number      BIGINT NOT NULL, -- of the transition that is told
    state       TEXT COLLATE "C" NOT NULL, -- waiting, done, failed
    target      TEXT NOT NULL, -- a JSON object
    attempts    BIGINT NOT NULL,
    finished_at BIGINT,
    error       TEXT,
    PRIMARY KEY (tenant_id, alert_id, place)
);
ALTER TABLE alert_deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE alert_deliveries FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON alert_deliveries
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
CREATE TRIGGER alert_deliveries_of_the_living BEFORE INSERT ON alert_deliveries
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();
