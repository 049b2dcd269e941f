-- Compliance checks that failed and stand: the latest statement of the check, by (occurred_at,
-- event_id), says that it did not pass.
-- key: check_id
WITH checks AS (
    SELECT
        check_id,
        last_value(project_id ORDER BY occurred_at, event_id) AS project_id,
        last_value(rule ORDER BY occurred_at, event_id) AS rule,
        last_value(passed ORDER BY occurred_at, event_id) AS passed,
        last_value(occurred_at ORDER BY occurred_at, event_id) AS failed_at
    FROM events."governance.compliance_checked"
    GROUP BY check_id
)
SELECT check_id, project_id, rule, failed_at
FROM checks
WHERE NOT passed
