-- Winning bids: each auction with the highest, and of equal ones the first, bid in its time.
WITH ranked AS (
    SELECT
        a.id,
        a.item_name,
        a.description,
        a.initial_bid,
        a.reserve,
        a.date_time,
        a.expires,
        a.seller,
        a.category,
        a.extra,
        b.bidder,
        b.price,
        b.date_time AS bid_time,
        b.extra AS bid_extra,
        row_number() OVER (
            PARTITION BY a.id ORDER BY b.price DESC, b.date_time, b.event_id
        ) AS place
    FROM events."nexmark.auction" AS a
    JOIN events."nexmark.bid" AS b
        ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires
)
SELECT
    id,
    item_name,
    description,
    initial_bid,
    reserve,
    date_time,
    expires,
    seller,
    category,
    extra,
    bidder,
    price,
    bid_time,
    bid_extra
FROM ranked
WHERE place <= 1
