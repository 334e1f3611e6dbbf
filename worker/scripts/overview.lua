-- What waits, what runs, what is stopped. Returns {running jobs, counters, now, one row for each proving key}; a row is
-- {key, circuit, normal jobs, bulk jobs, id of the oldest, since when it waits or -1, ms on the device, breaker's
-- fields}.
local rows = {}
local names = redis.call('HGETALL', 'gelap:keys')
for i = 1, #names, 2 do
  local key = names[i]
  local head, since = '', -1
  local waiting = {}
  for priority = 1, 2 do
    waiting[priority] = redis.call('ZCARD', queued_key(key, priority))
    local id, first = oldest(key, priority)
    if first and (since < 0 or first < since) then
      head, since = id, math.floor(first)
    end
  end
  rows[#rows + 1] = {key, names[i + 1], waiting[1], waiting[2], head, since,
    redis.call('HGET', 'gelap:device-ms', key) or '0', redis.call('HGETALL', 'gelap:breaker:' .. key)}
end
return {redis.call('ZCARD', 'gelap:leases'), redis.call('HGETALL', 'gelap:counters'), now, rows}
