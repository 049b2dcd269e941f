SELECT
    product_id,
    event_id,
    sum(quantity) OVER (
        PARTITION BY product_id ORDER BY occurred_at, event_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS on_hand,
    count(*) OVER (PARTITION BY product_id) AS movements
FROM events."inventory.stock_adjusted"
