-- Start attempts at the jobs of one proving key that should go first. Returns {job's fields, sealed inputs} for each.
-- ARGV: key, attempt token, most jobs, worker, ms of the lease, ms an attempt may take, ms to keep a job after its end,
--       ms that a bulk job has to wait longer than a normal one to go first
local key, token, most, worker = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local lease, allowed, keep, aging = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
local claimed = {}
if is_stopped(key) then
  return claimed
end
write_though_full()

while #claimed < most do
  local normal, normal_ms = oldest(key, 1)
  local bulk, bulk_ms = oldest(key, 2)
  local id = normal
  if bulk and (not normal or bulk_ms + aging <= normal_ms) then
    id = bulk
  end
  if not id then
    break
  end
  local hash = job_key(id)
  local job = redis.call('HMGET', hash, 'priority', 'expires_ms', 'queued_ms', 'queue_ms', 'tenant')
  if tonumber(job[2]) <= now then
    redis.call('HSET', hash, 'error', 'expired')
    finish(id, 'EXPIRED', keep)
  else
    local waited = (tonumber(job[4]) or 0) + now - tonumber(job[3])
    redis.call('HSET', hash, 'state', 'RUNNING', 'token', token, 'worker', worker, 'queue_ms', waited,
      'started_ms', now, 'stops_ms', now + allowed)
    redis.call('HINCRBY', hash, 'attempts', 1)
    redis.call('ZREM', queued_key(key, job[1]), id)
    redis.call('ZREM', 'gelap:expiring', id)
    redis.call('SREM', waiting_key(job[5]), id)
    redis.call('ZADD', 'gelap:leases', now + lease, id)
    redis.call('PEXPIRE', sealed_key(id), 3600000)
    announce(id, 'RUNNING')
    claimed[#claimed + 1] = {redis.call('HGETALL', hash), redis.call('GET', sealed_key(id))}
  end
end
return claimed
