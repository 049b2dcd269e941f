-- A product in a warehouse: every movement of it, whose amounts are quantities, and the statement of
-- the product that stands. The average cost is quantity × unit cost of the receipts, added up, ÷ their
-- quantity.
-- main: on_hand
-- column name: product => max(name)
-- column on_hand: received - issued - shipped + adjusted
-- column value (on_hand × average cost of what was received): received - issued - shipped + adjusted
--     => CASE
--         WHEN sum(amount) = 0 THEN CAST(0 AS DECIMAL(38, 4))
--         ELSE TRY_CAST(
--             CAST(TRY_CAST(sum(amount) AS DECIMAL(28, 4)) AS DECIMAL(76, 4))
--             * CAST(TRY_CAST(
--                 sum(CAST(amount AS DECIMAL(76, 4)) * CAST(unit_cost AS DECIMAL(76, 4)))
--                     FILTER (WHERE part = 'received')
--                 AS DECIMAL(38, 8)) AS DECIMAL(76, 8))
--             / nullif(CAST(sum(amount) FILTER (WHERE part = 'received') AS DECIMAL(76, 4)), 0)
--             AS DECIMAL(38, 4)
--         )
--     END
-- column reorder_point: product => max(reorder_point)
-- column below_reorder (on_hand < reorder_point): received - issued - shipped + adjusted + product
--     => coalesce(sum(amount) < max(reorder_point), false)
WITH product AS (
    SELECT *
    FROM events."inventory.product_added"
    WHERE product_id = $product_id
    ORDER BY occurred_at DESC, event_id DESC
    LIMIT 1
)
SELECT
    'product' AS part,
    'inventory.product_added' AS type,
    event_id,
    occurred_at,
    subject,
    CAST(NULL AS DECIMAL(38, 4)) AS amount,
    product_id AS reference,
    CAST(NULL AS DECIMAL(38, 4)) AS unit_cost,
    name,
    reorder_point
FROM product
UNION ALL
SELECT
    'received' AS part,
    'inventory.stock_received' AS type,
    event_id,
    occurred_at,
    subject,
    quantity AS amount,
    movement_id AS reference,
    unit_cost,
    NULL AS name,
    NULL AS reorder_point
FROM events."inventory.stock_received"
WHERE product_id = $product_id AND warehouse = $warehouse
UNION ALL
SELECT
    'issued' AS part,
    'inventory.stock_issued' AS type,
    event_id,
    occurred_at,
    subject,
    quantity AS amount,
    movement_id AS reference,
    unit_cost,
    NULL AS name,
    NULL AS reorder_point
FROM events."inventory.stock_issued"
WHERE product_id = $product_id AND warehouse = $warehouse
UNION ALL
SELECT
    'shipped' AS part,
    'inventory.stock_shipped' AS type,
    event_id,
    occurred_at,
    subject,
    quantity AS amount,
    movement_id AS reference,
    NULL AS unit_cost,
    NULL AS name,
    NULL AS reorder_point
FROM events."inventory.stock_shipped"
WHERE product_id = $product_id AND warehouse = $warehouse
UNION ALL
SELECT
    'adjusted' AS part,
    'inventory.stock_adjusted' AS type,
    event_id,
    occurred_at,
    subject,
    quantity AS amount,
    movement_id AS reference,
    NULL AS unit_cost,
    NULL AS name,
    NULL AS reorder_point
FROM events."inventory.stock_adjusted"
WHERE product_id = $product_id AND warehouse = $warehouse
