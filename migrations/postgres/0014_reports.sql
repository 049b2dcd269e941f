-- Reports of a tenant (docs/reports.md): what they are, who made them, and their runs.
CREATE TABLE reports (
    tenant_id  BIGINT NOT NULL REFERENCES tenants (number),
    id         TEXT COLLATE "C" NOT NULL,
    version    BIGINT NOT NULL, -- 1, and one more with each replacement
    owner      TEXT NOT NULL,   -- the subject whose rights it runs by
    definition TEXT NOT NULL,   -- a JSON object
    created_at BIGINT NOT NULL, -- microseconds since 1970, UTC
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
ALTER TABLE reports ENABLE ROW LEVEL SECURITY;
ALTER TABLE reports FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON reports
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
CREATE TRIGGER reports_of_the_living BEFORE INSERT ON reports
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();

CREATE TABLE report_runs (
    tenant_id    BIGINT NOT NULL REFERENCES tenants (number),
    id           TEXT COLLATE "C" NOT NULL,
    report_id    TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL, -- queued, running, done, failed, missed, cancelled, expired
    due_at       BIGINT,                    -- when its schedule named it; NULL: it was asked for
    requested_by TEXT NOT NULL,             -- the subject of the token; empty: the schedule
    request      TEXT NOT NULL,             -- a JSON object: the report as it was, parameters, as_of
    created_at   BIGINT NOT NULL,
    started_at   BIGINT,
    finished_at  BIGINT,
    attempts     BIGINT NOT NULL,
    outcome      TEXT,                      -- a JSON object: the file, its position, its rows
    error        TEXT,
    expires_at   BIGINT,
    PRIMARY KEY (tenant_id, id)
);
ALTER TABLE report_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE report_runs FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON report_runs
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
CREATE UNIQUE INDEX report_runs_by_report ON report_runs (tenant_id, report_id, id);
CREATE UNIQUE INDEX report_runs_by_due ON report_runs (tenant_id, report_id, due_at);
CREATE TRIGGER report_runs_of_the_living BEFORE INSERT ON report_runs
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();

CREATE TABLE report_deliveries (
    tenant_id   BIGINT NOT NULL REFERENCES tenants (number),
    run_id      TEXT COLLATE "C" NOT NULL,
    place       BIGINT NOT NULL,           -- 0, 1, 2, … in the report's list
    state       TEXT COLLATE "C" NOT NULL, -- waiting, done, failed
    target      TEXT NOT NULL,             -- a JSON object
    attempts    BIGINT NOT NULL,
    finished_at BIGINT,
    error       TEXT,
    PRIMARY KEY (tenant_id, run_id, place)
);
ALTER TABLE report_deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE report_deliveries FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON report_deliveries
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
CREATE TRIGGER report_deliveries_of_the_living BEFORE INSERT ON report_deliveries
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();

-- What is to be done and when. Whoever puts a lease into a row does it; a row goes when it is done.
CREATE TABLE report_jobs (
    tenant_id   BIGINT NOT NULL REFERENCES tenants (number),
    kind        TEXT COLLATE "C" NOT NULL, -- schedule, run, deliver, expire
    id          TEXT COLLATE "C" NOT NULL, -- of the report or run
    place       BIGINT NOT NULL,           -- of the delivery; otherwise 0
    due_at      BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    lease       TEXT NOT NULL,             -- empty: nobody's
    lease_until BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, kind, id, place)
);
ALTER TABLE report_jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE report_jobs FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON report_jobs
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
CREATE POLICY platform_reads ON report_jobs FOR SELECT
    USING (current_setting('app.platform', true) = 'on');
CREATE TRIGGER report_jobs_of_the_living BEFORE INSERT ON report_jobs
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();

-- The roles in the newest token of those who have reports.
CREATE TABLE report_owners (
    tenant_id BIGINT NOT NULL REFERENCES tenants (number),
    subject   TEXT COLLATE "C" NOT NULL,
    roles     TEXT NOT NULL, -- names with commas between them
    seen_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, subject)
);
ALTER TABLE report_owners ENABLE ROW LEVEL SECURITY;
ALTER TABLE report_owners FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON report_owners
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
CREATE TRIGGER report_owners_of_the_living BEFORE INSERT ON report_owners
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();

-- Positions that a report can be made at again.
CREATE TABLE position_marks (
    tenant_id BIGINT NOT NULL REFERENCES tenants (number),
    sequence  BIGINT NOT NULL,
    at_offset BIGINT NOT NULL,           -- what was accepted up to and with it
    day       TEXT COLLATE "C" NOT NULL, -- the tenant's date, YYYY-MM-DD
    closes    BIGINT NOT NULL,           -- 1: the last position of that date
    PRIMARY KEY (tenant_id, sequence)
);
ALTER TABLE position_marks ENABLE ROW LEVEL SECURITY;
ALTER TABLE position_marks FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON position_marks
    USING (tenant_id = NULLIF(current_setting('app.current_tenant', true), '')::BIGINT);
CREATE TRIGGER position_marks_of_the_living BEFORE INSERT ON position_marks
    FOR EACH ROW EXECUTE FUNCTION refuse_of_deleted();
