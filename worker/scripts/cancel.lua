-- End a tenant's job if it has not ended. Returns the job's fields, none when the tenant has no such job.
-- The attempt of a running job notices when it next renews its lease, and its result is refused.
-- ARGV: id, tenant, ms to keep the job after its end
local id, tenant, keep = ARGV[1], ARGV[2], ARGV[3]
local job = redis.call('HMGET', job_key(id), 'tenant', 'state')
if job[1] ~= tenant then
  return {}
end
if job[2] == 'QUEUED' or job[2] == 'RUNNING' then
  redis.call('HSET', job_key(id), 'error', 'cancelled')
  finish(id, 'CANCELLED', keep)
end
return redis.call('HGETALL', job_key(id))
