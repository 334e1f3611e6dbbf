-- End an attempt that failed. Returns 'failed', 'requeued' (try again, if tries are left), or 'lost' when the attempt
-- no longer owns the job.
-- ARGV: id, token, ms to keep the job, error name, message, 1 to try again, tries to spend,
--       1 for a proof that did not verify, jobs with such a proof that stop a circuit, ms in which they count together
local id, token, keep = ARGV[1], ARGV[2], ARGV[3]
if not owns(id, token) then
  return 'lost'
end
write_though_full()
local hash = job_key(id)
local job = redis.call('HMGET', hash, 'key', 'retries', 'wrong')

-- One job counts once, however often it is tried.
if ARGV[8] == '1' then
  count('wrong_proofs')
  local breaker = 'gelap:breaker:' .. job[1]
  if not job[3] then
    redis.call('HSET', hash, 'wrong', 1)
    local first = tonumber(redis.call('HGET', breaker, 'first_ms'))
    if not first or now - first > tonumber(ARGV[10]) then
      redis.call('HSET', breaker, 'first_ms', now, 'jobs', 0)
    end
    if redis.call('HINCRBY', breaker, 'jobs', 1) >= tonumber(ARGV[9]) then
      redis.call('HSETNX', breaker, 'stopped_ms', now)
    end
  end
end

if ARGV[6] == '1' and tonumber(job[2]) < tonumber(ARGV[7]) and not is_stopped(job[1]) then
  redis.call('HINCRBY', hash, 'retries', 1)
  count('retries')
  enqueue_again(id)
  return 'requeued'
end
redis.call('HSET', hash, 'error', ARGV[4], 'message', ARGV[5])
finish(id, 'FAILED', keep)
return 'failed'
