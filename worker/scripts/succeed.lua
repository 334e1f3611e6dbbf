-- End an attempt with its result. Returns 1, or 0 when the attempt no longer owns the job.
-- ARGV: id, token, ms to keep the job, ms to keep the proof, proof, validity, then name and ms of each phase
local id, token, keep, cache, proof, valid = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if not owns(id, token) then
  return 0
end
local key = job_key(id)
for i = 7, #ARGV, 2 do
  redis.call('HSET', key, ARGV[i] .. '_ms', ARGV[i + 1])
end
local job = redis.call('HMGET', key, 'kind', 'tenant', 'statement')
if job[1] == 'prove' then
  redis.call('HSET', key, 'proof', proof)
  redis.call('SET', proof_key(job[2], job[3]), proof, 'PX', cache)
else
  redis.call('HSET', key, 'valid', valid)
end
finish(id, 'SUCCEEDED', keep)
return 1
