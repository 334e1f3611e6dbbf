-- Find jobs that nobody works on although somebody should. Returns the ids to send to the workers again.
-- ARGV: the broker's list of waiting messages, ms to keep a job after its end, losses a job may survive,
--       ms after which a queued job without a message counts as stranded, most jobs to look at in one go
local queue, keep, losses, stranded, limit = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local again = {}

-- A lost worker does not spend a retry, but a job that takes one worker after another with it has to end.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'gelap:leases', '-inf', now, 'LIMIT', 0, limit)) do
  if redis.call('HINCRBY', job_key(id), 'losses', 1) > losses then
    redis.call('HSET', job_key(id), 'error', 'worker-lost')
    finish(id, 'FAILED', keep)
  else
    enqueue(id, redis.call('HGET', job_key(id), 'expires_ms'))
    again[#again + 1] = id
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'gelap:expiring', '-inf', now, 'LIMIT', 0, limit)) do
  redis.call('HSET', job_key(id), 'error', 'expired')
  finish(id, 'EXPIRED', keep)
end

-- A gateway that died between queueing a job and sending its message leaves it behind: with no message waiting, a job
-- that has been queued for a while has none. A message too many does no harm, only one of them can claim the job.
if redis.call('LLEN', queue) == 0 then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'gelap:queued', '-inf', now - stranded, 'LIMIT', 0, limit)) do
    redis.call('ZADD', 'gelap:queued', now, id)
    again[#again + 1] = id
  end
end
return again
