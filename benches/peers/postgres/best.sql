-- For who looks for the lowest open places: without it a search would pass all that are sold. Holds and releases do
-- not change what it is about, so they stay heap-only; only a sale is not.
CREATE INDEX place_unsold ON place (event, number) WHERE buyer_order IS NULL;
