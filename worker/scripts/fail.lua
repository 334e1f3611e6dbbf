-- End an attempt that failed. Returns 'failed', 'requeued' (try again, if tries are left), or 'lost' when the attempt
-- no longer owns the job.
-- ARGV: id, token, ms to keep the job, error name, message, 1 to try again, tries to spend
local id, token, keep = ARGV[1], ARGV[2], ARGV[3]
if not owns(id, token) then
  return 'lost'
end
local key = job_key(id)
local job = redis.call('HMGET', key, 'retries', 'expires_ms')
if ARGV[6] == '1' and tonumber(job[1]) < tonumber(ARGV[7]) then
  redis.call('HINCRBY', key, 'retries', 1)
  enqueue(id, job[2])
  return 'requeued'
end
redis.call('HSET', key, 'error', ARGV[4], 'message', ARGV[5])
finish(id, 'FAILED', keep)
return 'failed'
