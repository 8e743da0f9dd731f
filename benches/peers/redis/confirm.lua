-- Sells what a hold holds.
--
--   KEYS  holds, due: see hold.lua
--   ARGV  hold, order
--
-- Gives 1 when it is sold to this order, also when asked again; 0 when no such hold lives; -1 when it went to another
-- order.
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known then
    return 0
end
local order = known:match('^S:([^:]*):')
if order then
    return order == ARGV[2] and 1 or -1
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local deadline, seats = known:match('^(%d+):(.*)$')
-- A hold that is over is refused even if no later hold has cleared it away yet.
if tonumber(deadline) <= now then
    return 0
end
redis.call('HSET', KEYS[1], ARGV[1], 'S:' .. ARGV[2] .. ':' .. seats)
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
