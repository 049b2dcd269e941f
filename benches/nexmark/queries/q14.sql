-- Calculation: converts, filters, names the time of day and counts a letter.
WITH converted AS (
    SELECT
        auction,
        bidder,
        CAST(price AS DECIMAL(20, 0)) * CAST(0.908 AS DECIMAL(4, 3)) AS price,
        date_part('hour', date_time) AS hour,
        date_time,
        extra
    FROM events."nexmark.bid"
)
SELECT
    auction,
    bidder,
    price,
    CASE
        WHEN hour BETWEEN 8 AND 18 THEN 'dayTime'
        WHEN hour <= 6 OR hour >= 20 THEN 'nightTime'
        ELSE 'otherTime'
    END AS bid_time_type,
    date_time,
    extra,
    character_length(extra) - character_length(replace(extra, 'c', '')) AS c_counts
FROM converted
WHERE price > 1000000 AND price < 50000000
