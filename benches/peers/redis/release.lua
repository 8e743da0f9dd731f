-- Gives back what a hold holds.
--
--   KEYS  taken, holds, due: see hold.lua
--   ARGV  hold
--
-- Gives 1 when its seats are open again, 0 when no such hold lives, -1 when it has been sold.
local known = redis.call('HGET', KEYS[2], ARGV[1])
if not known then
    return 0
end
if known:sub(1, 1) == 'S' then
    return -1
end
for seat in known:match(':(.*)$'):gmatch('%d+') do
    redis.call('SETBIT', KEYS[1], seat, 0)
end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return 1
