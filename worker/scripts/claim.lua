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

-- A suspect is alone in its worker's hands: whichever job ends workers, no other one is lost with it again and again.
local suspects = redis.call('EXISTS', 'gelap:suspects') == 1
local in_hand = 0
if suspects then
  for _, id in ipairs(redis.call('ZRANGE', 'gelap:leases', 0, -1)) do
    if redis.call('HGET', job_key(id), 'worker') == worker then
      if redis.call('SISMEMBER', 'gelap:suspects', id) == 1 then
        return claimed
      end
      in_hand = in_hand + 1
    end
  end
end

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
  local suspect = suspects and redis.call('SISMEMBER', 'gelap:suspects', id) == 1
  local hash = job_key(id)
  local job = redis.call('HMGET', hash, 'priority', 'expires_ms', 'queued_ms', 'queue_ms', 'tenant')
  if tonumber(job[2]) <= now then
    redis.call('HSET', hash, 'error', 'expired')
    finish(id, 'EXPIRED', keep)
  elseif suspect and in_hand + #claimed > 0 then
    break
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
    if suspect then
      break
    end
  end
end
return claimed
