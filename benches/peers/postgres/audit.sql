-- Places sold, places held, and holds or sales that have not exactly the two places they were given: a place that a
-- second one had taken over would be missing from the first.
SELECT
    count(*) FILTER (WHERE buyer_order IS NOT NULL),
    count(*) FILTER (WHERE buyer_order IS NULL AND held_until > now()),
    (SELECT count(*) FROM (
        SELECT FROM place WHERE held_until > now() GROUP BY hold HAVING count(*) <> 2 OR count(DISTINCT event) <> 1
    ) AS odd)
FROM place;
