WITH latest AS (
    SELECT opportunity_id, last_value(stage ORDER BY occurred_at, event_id) AS stage
    FROM events."crm.opportunity_stage_changed"
    GROUP BY opportunity_id
),
sizes AS (SELECT stage, count(*) AS size FROM latest GROUP BY stage)
SELECT l.opportunity_id, l.stage, s.size, o.account
FROM latest AS l
JOIN sizes AS s ON s.stage = l.stage
LEFT JOIN (
    SELECT opportunity_id, max(account) AS account
    FROM events."crm.opportunity_opened"
    GROUP BY opportunity_id
) AS o ON o.opportunity_id = l.opportunity_id
