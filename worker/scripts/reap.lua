-- Find jobs that nobody works on although somebody should. Returns pairs: a proving key, how many messages to send to
-- its workers.
-- ARGV: what the names of the broker's lists begin with, ms to keep a job after its end, losses a job may survive,
--       ms after which a queued job may have lost its message, most jobs to look at in one go
local queues, keep, losses, stranded, limit = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local again = {}
write_though_full()

for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'gelap:leases', '-inf', now, 'LIMIT', 0, limit)) do
  if lose(id, losses, keep) then
    local key = redis.call('HGET', job_key(id), 'key')
    again[key] = (again[key] or 0) + 1
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'gelap:expiring', '-inf', now, 'LIMIT', 0, limit)) do
  redis.call('HSET', job_key(id), 'error', 'expired')
  finish(id, 'EXPIRED', keep)
end

-- A message can get lost: its gateway died before sending it, its worker after taking it. Every message lets the job
-- go first that has waited longest, so a lost one strands no particular job; but then fewer messages wait than jobs do.
-- One too many does no harm. Jobs that came just now have theirs on the way.
for _, key in ipairs(redis.call('HKEYS', 'gelap:keys')) do
  if not is_stopped(key) then
    local waiting, old = 0, 0
    for priority = 1, 2 do
      waiting = waiting + redis.call('ZCARD', queued_key(key, priority))
      old = old + redis.call('ZCOUNT', queued_key(key, priority), '-inf', (now - stranded) * 1000)
    end
    local missing = math.min(waiting - redis.call('LLEN', queues .. key), old, limit)
    local swept = 'gelap:swept:' .. key
    if missing > 0 and not again[key] and redis.call('EXISTS', swept) == 0 then
      redis.call('SET', swept, 1, 'PX', stranded)
      redis.call('HINCRBY', 'gelap:counters', 'swept', missing)
      again[key] = missing
    end
  end
end

local pairs_of = {}
for key, messages in pairs(again) do
  pairs_of[#pairs_of + 1] = key
  pairs_of[#pairs_of + 1] = messages
end
return pairs_of
