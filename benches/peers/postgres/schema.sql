-- Places of events that are sold. A row has all there is to know of a place, so that a hold, its sale and its release
-- touch nothing but rows of places: no table of holds to keep in step, no second index.
--
-- No column that changes is in an index, and pages are left half empty: every update is heap-only, the new version of
-- a row lies in the page of the old one, and no index is written.
CREATE TABLE place (
    event      integer     NOT NULL,
    number     integer     NOT NULL,
    -- Who has it, while held_until is in the future.
    hold       bigint      NOT NULL DEFAULT 0,
    -- In the past: open. In the future: held. Infinity: sold. A hold that is over needs no sweep.
    held_until timestamptz NOT NULL DEFAULT '-infinity',
    -- Of a place that is sold, who has bought it.
    buyer_order bigint,
    PRIMARY KEY (event, number)
) WITH (fillfactor = 50);

INSERT INTO place (event, number)
SELECT event, number FROM generate_series(0, :events - 1) AS event, generate_series(0, :places_of_event - 1) AS number;
