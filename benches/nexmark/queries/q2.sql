-- Selection: the bids on some auctions.
SELECT auction, price
FROM events."nexmark.bid"
WHERE auction % 123 = 0
