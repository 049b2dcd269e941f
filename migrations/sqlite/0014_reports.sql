-- Reports of a tenant (docs/reports.md): what they are, who made them, and their runs.
CREATE TABLE reports (
    tenant_id  INTEGER NOT NULL REFERENCES tenants (number),
    id         TEXT NOT NULL,
    version    INTEGER NOT NULL, -- 1, and one more with each replacement
    owner      TEXT NOT NULL,    -- the subject whose rights it runs by
    definition TEXT NOT NULL,    -- a JSON object
    created_at INTEGER NOT NULL, -- microseconds since 1970, UTC
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER reports_of_the_living BEFORE INSERT ON reports
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;

CREATE TABLE report_runs (
    tenant_id    INTEGER NOT NULL REFERENCES tenants (number),
    id           TEXT NOT NULL,
    report_id    TEXT NOT NULL,
    state        TEXT NOT NULL,    -- queued, running, done, failed, missed, cancelled, expired
    due_at       INTEGER,          -- when its schedule named it; NULL: it was asked for
    requested_by TEXT NOT NULL,    -- the subject of the token; empty: the schedule
    request      TEXT NOT NULL,    -- a JSON object: the report as it was, parameters, as_of
    created_at   INTEGER NOT NULL,
    started_at   INTEGER,
    finished_at  INTEGER,
    attempts     INTEGER NOT NULL,
    outcome      TEXT,             -- a JSON object: the file, its position, its rows
    error        TEXT,
    expires_at   INTEGER,
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX report_runs_by_report ON report_runs (tenant_id, report_id, id);
CREATE UNIQUE INDEX report_runs_by_due ON report_runs (tenant_id, report_id, due_at);
CREATE TRIGGER report_runs_of_the_living BEFORE INSERT ON report_runs
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;

CREATE TABLE report_deliveries (
    tenant_id   INTEGER NOT NULL REFERENCES tenants (number),
    run_id      TEXT NOT NULL,
    place       INTEGER NOT NULL, -- 0, 1, 2, … in the report's list
    state       TEXT NOT NULL,    -- waiting, done, failed
    target      TEXT NOT NULL,    -- a JSON object
    attempts    INTEGER NOT NULL,
    finished_at INTEGER,
    error       TEXT,
    PRIMARY KEY (tenant_id, run_id, place)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER report_deliveries_of_the_living BEFORE INSERT ON report_deliveries
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;

-- What is to be done and when. Whoever puts a lease into a row does it; a row goes when it is done.
CREATE TABLE report_jobs (
    tenant_id   INTEGER NOT NULL REFERENCES tenants (number),
    kind        TEXT NOT NULL,    -- schedule, run, deliver, expire
    id          TEXT NOT NULL,    -- of the report or run
    place       INTEGER NOT NULL, -- of the delivery; otherwise 0
    due_at      INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    lease       TEXT NOT NULL,    -- empty: nobody's
    lease_until INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, kind, id, place)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER report_jobs_of_the_living BEFORE INSERT ON report_jobs
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;

-- The roles in the newest token of those who have reports.
CREATE TABLE report_owners (
    tenant_id INTEGER NOT NULL REFERENCES tenants (number),
    subject   TEXT NOT NULL,
    roles     TEXT NOT NULL,    -- names with commas between them
    seen_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, subject)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER report_owners_of_the_living BEFORE INSERT ON report_owners
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;

-- Positions that a report can be made at again.
CREATE TABLE position_marks (
    tenant_id INTEGER NOT NULL REFERENCES tenants (number),
    sequence  INTEGER NOT NULL,
    at_offset INTEGER NOT NULL, -- what was accepted up to and with it
    day       TEXT NOT NULL,    -- the tenant's date, YYYY-MM-DD
    closes    INTEGER NOT NULL, -- 1: the last position of that date
    PRIMARY KEY (tenant_id, sequence)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER position_marks_of_the_living BEFORE INSERT ON position_marks
WHEN EXISTS (SELECT 1 FROM tenants WHERE number = NEW.tenant_id AND deleted_at IS NOT NULL) BEGIN
    SELECT RAISE(ABORT, 'the tenant is deleted');
END;
