-- As after a night's rest: statistics are known and rows are all-visible. No checkpoint: after one the first write to
-- each page would put the whole page into the log, and a short run would pay for it all.
VACUUM (FREEZE, ANALYZE) place;
