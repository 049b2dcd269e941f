-- Local item suggestion: who sells in one category in three states.
SELECT p.name, p.city, p.state, a.id
FROM events."nexmark.auction" AS a
JOIN events."nexmark.person" AS p ON a.seller = p.id
WHERE a.category = 10 AND p.state IN ('or', 'id', 'ca')
