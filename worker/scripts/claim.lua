-- Start an attempt at a queued job. Returns {job's fields, sealed inputs}, or nothing when there is nothing to do.
-- ARGV: id, attempt token, worker, ms of the lease, ms to keep the job after its end
local id, token, worker, lease, keep = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local key = job_key(id)
local job = redis.call('HMGET', key, 'state', 'expires_ms', 'queued_ms', 'queue_ms')

if job[1] == 'QUEUED' then
  if tonumber(job[2]) <= now then
    redis.call('HSET', key, 'error', 'expired')
    finish(id, 'EXPIRED', keep)
    return false
  end
  local waited = (tonumber(job[4]) or 0) + now - tonumber(job[3])
  redis.call('HSET', key, 'state', 'RUNNING', 'token', token, 'worker', worker, 'queue_ms', waited)
  redis.call('HINCRBY', key, 'attempts', 1)
  redis.call('ZREM', 'gelap:queued', id)
  redis.call('ZREM', 'gelap:expiring', id)
  redis.call('ZADD', 'gelap:leases', now + lease, id)
  redis.call('PEXPIRE', sealed_key(id), 3600000)
  announce(id)
elseif not owns(id, token) then
  return false
end
return {redis.call('HGETALL', key), redis.call('GET', sealed_key(id))}
