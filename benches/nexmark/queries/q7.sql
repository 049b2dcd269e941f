-- The highest bids of every 10 seconds.
WITH highest AS (
    SELECT date_bin(INTERVAL '10 seconds', date_time) AS starts, max(price) AS price
    FROM events."nexmark.bid"
    GROUP BY date_bin(INTERVAL '10 seconds', date_time)
)
SELECT b.auction, b.price, b.bidder, b.date_time, b.extra
FROM events."nexmark.bid" AS b
JOIN highest AS h
    ON h.price = b.price AND h.starts = date_bin(INTERVAL '10 seconds', b.date_time)
