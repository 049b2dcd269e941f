-- What is on hand of each product in each warehouse: received − issued − shipped + adjusted, its
-- value at the weighted average cost of that warehouse's receipts, and whether it is below the
-- product's reorder point (never, where there is none).
-- The value is computed exactly and rounded once, half away from zero; it is null where stock is
-- on hand that no receipt gives a cost to, and beyond 24 digits on hand or 34 digits of value.
-- key: product_id, warehouse
WITH products AS (
    SELECT
        product_id,
        last_value(name ORDER BY occurred_at, event_id) AS name,
        last_value(reorder_point ORDER BY occurred_at, event_id) AS reorder_point
    FROM events."inventory.product_added"
    GROUP BY product_id
),
movements AS (
    SELECT product_id, warehouse, quantity FROM events."inventory.stock_received"
    UNION ALL
    SELECT product_id, warehouse, -quantity AS quantity FROM events."inventory.stock_issued"
    UNION ALL
    SELECT product_id, warehouse, -quantity AS quantity FROM events."inventory.stock_shipped"
    UNION ALL
    SELECT product_id, warehouse, quantity FROM events."inventory.stock_adjusted"
),
levels AS (
    SELECT product_id, warehouse, sum(quantity) AS on_hand
    FROM movements
    GROUP BY product_id, warehouse
),
receipts AS (
    SELECT
        product_id,
        warehouse,
        sum(quantity) AS quantity,
        sum(CAST(quantity AS DECIMAL(76, 4)) * CAST(unit_cost AS DECIMAL(76, 4))) AS cost
    FROM events."inventory.stock_received"
    GROUP BY product_id, warehouse
)
SELECT
    l.product_id,
    l.warehouse,
    p.name,
    CAST(l.on_hand AS DECIMAL(38, 4)) AS on_hand,
    CASE
        WHEN l.on_hand = 0 THEN CAST(0 AS DECIMAL(38, 4))
        ELSE TRY_CAST(
            CAST(TRY_CAST(l.on_hand AS DECIMAL(28, 4)) AS DECIMAL(76, 4))
            * CAST(TRY_CAST(r.cost AS DECIMAL(38, 8)) AS DECIMAL(76, 8))
            / nullif(CAST(r.quantity AS DECIMAL(76, 4)), 0)
            AS DECIMAL(38, 4)
        )
    END AS value,
    p.reorder_point,
    coalesce(l.on_hand < p.reorder_point, false) AS below_reorder
FROM levels AS l
LEFT JOIN products AS p ON p.product_id = l.product_id
LEFT JOIN receipts AS r ON r.product_id = l.product_id AND r.warehouse = l.warehouse
