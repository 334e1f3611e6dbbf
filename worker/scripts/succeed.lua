-- End an attempt with its result. Returns 1, or 0 when the attempt no longer owns the job.
-- ARGV: id, token, ms to keep the job, ms to keep the proof, proof, validity, ms on the device,
--       then name and ms of each phase
local id, token, keep, cache, proof, valid = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if not owns(id, token) then
  return 0
end
local hash = job_key(id)
redis.call('DEL', sealed_key(id))  -- before the first write that a full Redis would refuse
if #ARGV > 7 then
  redis.call('HSET', hash, unpack(ARGV, 8))
end
local job = redis.call('HMGET', hash, 'kind', 'tenant', 'statement', 'key')
if job[1] == 'prove' then
  redis.call('HSET', hash, 'proof', proof)
  redis.call('SET', proof_key(job[2], job[3]), proof, 'PX', cache)
  local average = tonumber(redis.call('HGET', 'gelap:device-ms', job[4])) or tonumber(ARGV[7])
  redis.call('HSET', 'gelap:device-ms', job[4], string.format('%.3f', average + (tonumber(ARGV[7]) - average) / 16))
else
  redis.call('HSET', hash, 'valid', valid)
end
finish(id, 'SUCCEEDED', keep)
return 1
