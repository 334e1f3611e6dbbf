-- Take in a job, unless it is answered already. Returns {outcome, job's fields}.
-- ARGV: id, kind, tenant, circuit, statement, public inputs, sealed inputs, proof to verify, idempotency digest,
--       ms it may wait in the queue, ms to keep it after its end, ms to keep the idempotency key, queue limit
local id, kind, tenant, circuit, statement = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local public, sealed, proof, idempotency = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local wait, keep, remember, limit = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local idempotency_key = 'gelap:idempotency:' .. tenant .. ':' .. idempotency

local function answer(outcome, job)
  if idempotency ~= '' then
    redis.call('HSET', idempotency_key, 'job', job, 'statement', statement)
    redis.call('PEXPIRE', idempotency_key, remember)
  end
  return {outcome, redis.call('HGETALL', job_key(job))}
end

local function create()
  redis.call('HSET', job_key(id), 'id', id, 'kind', kind, 'tenant', tenant, 'circuit', circuit,
    'statement', statement, 'public', public, 'created_ms', now, 'attempts', 0, 'retries', 0, 'losses', 0)
end

if idempotency ~= '' then
  local earlier = redis.call('HMGET', idempotency_key, 'job', 'statement')
  if earlier[1] and redis.call('EXISTS', job_key(earlier[1])) == 1 then
    if earlier[2] ~= statement then
      return {'conflict', {}}
    end
    return {'repeated', redis.call('HGETALL', job_key(earlier[1]))}
  end
end

if kind == 'prove' then
  local cached = redis.call('GET', proof_key(tenant, statement))
  if cached then
    create()
    redis.call('HSET', job_key(id), 'proof', cached, 'cached', 1)
    finish(id, 'SUCCEEDED', keep)
    return answer('cached', id)
  end
  local live = redis.call('GET', flight_key(tenant, statement))
  if live then
    -- The later caller may be willing to wait longer.
    if redis.call('ZSCORE', 'gelap:expiring', live) then
      redis.call('ZADD', 'gelap:expiring', 'GT', now + wait, live)
      redis.call('HSET', job_key(live), 'expires_ms', redis.call('ZSCORE', 'gelap:expiring', live))
    end
    -- A lost answer makes the client library send the script again: then the live job is this one.
    return answer(live == id and 'new' or 'joined', live)
  end
end

if redis.call('ZCARD', 'gelap:queued') >= limit then
  return {'full', {}}
end

create()
if kind == 'prove' then
  -- They outlive the queue by an hour at most, even if no gateway is left to end the job.
  redis.call('SET', sealed_key(id), sealed, 'PX', wait + 3600000)
  redis.call('SET', flight_key(tenant, statement), id)
else
  redis.call('HSET', job_key(id), 'proof', proof)
end
enqueue(id, now + wait)
return answer('new', id)
