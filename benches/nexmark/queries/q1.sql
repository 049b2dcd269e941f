-- Currency conversion: every bid's price in euros.
SELECT
    auction,
    bidder,
    CAST(price AS DECIMAL(20, 0)) * CAST(0.908 AS DECIMAL(4, 3)) AS price,
    date_time,
    extra
FROM events."nexmark.bid"
