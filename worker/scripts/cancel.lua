-- End a job if it has not ended. Returns the job's fields, none when there is no such job.
-- The worker of a running job is told, and notices it at the latest when it renews its lease; its result is refused.
-- ARGV: id, tenant ('' for the cluster's operator), ms to keep the job after its end
local id, tenant, keep = ARGV[1], ARGV[2], ARGV[3]
local job = redis.call('HMGET', job_key(id), 'tenant', 'state')
if not job[1] or (tenant ~= '' and job[1] ~= tenant) then
  return {}
end
if job[2] == 'QUEUED' or job[2] == 'RUNNING' then
  write_though_full()
  redis.call('HSET', job_key(id), 'error', 'cancelled')
  finish(id, 'CANCELLED', keep)
  redis.call('PUBLISH', 'gelap:cancelled', id)
end
return redis.call('HGETALL', job_key(id))
