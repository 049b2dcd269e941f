-- The requests of a property and priority that are not resolved, each by the statement that stands.
-- main: open
-- column open: open
-- column oldest_days (today - the UTC day of the oldest request): open
--     => current_date - CAST(min(requested_at) AS DATE)
WITH stated AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY request_id ORDER BY occurred_at DESC, event_id DESC) AS age
    FROM events."property.maintenance_requested"
    WHERE request_id IN (
        SELECT request_id
        FROM events."property.maintenance_requested"
        WHERE property_id = $property_id
    )
)
SELECT
    'open' AS part,
    'property.maintenance_requested' AS type,
    event_id,
    occurred_at,
    subject,
    1 AS amount,
    request_id,
    requested_at,
    unit,
    category
FROM stated AS s
WHERE age = 1
    AND property_id = $property_id
    AND (priority IS NOT DISTINCT FROM $priority)
    AND NOT EXISTS (
        SELECT 1
        FROM events."property.maintenance_resolved" AS r
        WHERE r.request_id = s.request_id
    )
