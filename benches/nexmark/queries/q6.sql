-- Average price of each seller's last ten auctions and the one before them, at every auction.
WITH ranked AS (
    SELECT
        a.id,
        a.seller,
        b.price,
        b.date_time,
        row_number() OVER (
            PARTITION BY a.id ORDER BY b.price DESC, b.date_time, b.event_id
        ) AS place
    FROM events."nexmark.auction" AS a
    JOIN events."nexmark.bid" AS b
        ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires
),
won AS (
    SELECT id, seller, price, date_time FROM ranked WHERE place <= 1
)
SELECT
    seller,
    id,
    avg(price) OVER (
        PARTITION BY seller ORDER BY date_time, id ROWS BETWEEN 10 PRECEDING AND CURRENT ROW
    ) AS price
FROM won
