-- Maintenance requests not resolved yet, by property and priority: how many, and how many days ago
-- (by the UTC date) the oldest was made. Requests without a priority are a row of their own, with
-- null. Resolved stays resolved.
-- key: property_id, priority
WITH requests AS (
    SELECT
        request_id,
        last_value(property_id ORDER BY occurred_at, event_id) AS property_id,
        last_value(priority ORDER BY occurred_at, event_id) AS priority,
        last_value(requested_at ORDER BY occurred_at, event_id) AS requested_at
    FROM events."property.maintenance_requested"
    GROUP BY request_id
),
backlog AS (
    SELECT property_id, priority, count(*) AS open, min(requested_at) AS oldest
    FROM requests AS q
    WHERE NOT EXISTS (
        SELECT 1 FROM events."property.maintenance_resolved" AS r
        WHERE r.request_id = q.request_id
    )
    GROUP BY property_id, priority
)
SELECT property_id, priority, open, current_date - CAST(oldest AS DATE) AS oldest_days
FROM backlog
