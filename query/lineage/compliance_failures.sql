-- A check that failed: the statement of it that stands.
-- main: failed_at
-- column project_id: check => max(project_id)
-- column rule: check => max(rule)
-- column failed_at (when it was stated): check => max(occurred_at)
WITH standing AS (
    SELECT *
    FROM events."governance.compliance_checked"
    WHERE check_id = $check_id
    ORDER BY occurred_at DESC, event_id DESC
    LIMIT 1
)
SELECT
    'check' AS part,
    'governance.compliance_checked' AS type,
    event_id,
    occurred_at,
    subject,
    CAST(NULL AS DECIMAL(38, 4)) AS amount,
    check_id,
    project_id,
    rule,
    passed
FROM standing
