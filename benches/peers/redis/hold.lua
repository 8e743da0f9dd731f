-- Holds seats of one event until a deadline: all of them or none.
--
--   KEYS  taken: a bit a seat, set while it is held or sold
--         holds: a hash, hold -> "deadline:seat seat" while it lives, "S:order:seat seat" once sold
--         due:   a sorted set of the holds that live, by deadline in milliseconds
--   ARGV  hold, time to live in milliseconds, seats as numbers from 0
--
-- Gives the deadline, or 0 when a seat is taken, or -1 when this hold has been sold.
--
-- The clock is the server's: clients' clocks differ, and a seat must not come free by one of them.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- Holds whose time is over give their seats back here, so no seat waits for a sweep. No more than 16 at once: a
-- script stops the whole server while it runs.
local over = redis.call('ZRANGE', KEYS[3], '-inf', now, 'BYSCORE', 'LIMIT', 0, 16)
for _, hold in ipairs(over) do
    for seat in redis.call('HGET', KEYS[2], hold):match(':(.*)$'):gmatch('%d+') do
        redis.call('SETBIT', KEYS[1], seat, 0)
    end
    redis.call('HDEL', KEYS[2], hold)
    redis.call('ZREM', KEYS[3], hold)
end

local hold = ARGV[1]
local deadline = now + ARGV[2]
-- Writing first and undoing it on a refusal saves a call to the server in each hold that is granted.
if redis.call('HSETNX', KEYS[2], hold, deadline .. ':' .. table.concat(ARGV, ' ', 3)) == 0 then
    -- Asked again, as after a lost answer: the same answer.
    local known = redis.call('HGET', KEYS[2], hold)
    return tonumber(known:match('^(%d+):')) or -1
end

-- One BITFIELD for all seats was tried: the table of its arguments costs more than the second call, a few percent.
for at = 3, #ARGV do
    if redis.call('SETBIT', KEYS[1], ARGV[at], 1) == 1 then
        for back = 3, at - 1 do
            redis.call('SETBIT', KEYS[1], ARGV[back], 0)
        end
        redis.call('HDEL', KEYS[2], hold)
        return 0
    end
end
redis.call('ZADD', KEYS[3], deadline, hold)
return deadline
