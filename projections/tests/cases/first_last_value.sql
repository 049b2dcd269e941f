SELECT
    opportunity_id,
    first_value(stage ORDER BY occurred_at, event_id) AS first_stage,
    last_value(stage ORDER BY occurred_at, event_id) AS last_stage,
    last_value(amount ORDER BY occurred_at DESC, event_id DESC) AS first_amount,
    first_value(event_id ORDER BY amount DESC NULLS LAST, event_id) AS largest,
    last_value(occurred_at ORDER BY amount NULLS FIRST, event_id) AS largest_at
FROM events."crm.opportunity_stage_changed"
GROUP BY opportunity_id
