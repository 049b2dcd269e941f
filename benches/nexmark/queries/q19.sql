-- The ten highest bids of every auction.
SELECT auction, bidder, price, channel, url, date_time, extra, place
FROM (
    SELECT
        *,
        row_number() OVER (PARTITION BY auction ORDER BY price DESC, event_id) AS place
    FROM events."nexmark.bid"
) AS ranked
WHERE place <= 10
