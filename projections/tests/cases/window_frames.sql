SELECT
    event_id,
    sum(quantity) OVER (PARTITION BY product_id ORDER BY occurred_at ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS around,
    count(*) OVER (PARTITION BY product_id ORDER BY occurred_at RANGE BETWEEN INTERVAL '2 hours' PRECEDING AND CURRENT ROW) AS recent,
    max(quantity) OVER (PARTITION BY product_id) AS largest,
    first_value(event_id) OVER (PARTITION BY warehouse ORDER BY quantity ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS least,
    last_value(event_id) OVER (PARTITION BY warehouse ORDER BY quantity RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS most,
    last_value(quantity) OVER (PARTITION BY warehouse ORDER BY occurred_at, event_id) AS own,
    ntile(3) OVER (ORDER BY quantity) AS third,
    lag(quantity, 1) OVER (PARTITION BY product_id ORDER BY occurred_at) AS before,
    rank() OVER (PARTITION BY product_id ORDER BY occurred_at) AS height
FROM events."inventory.stock_adjusted"
