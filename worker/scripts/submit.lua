-- Take in a job, unless it is answered already. Returns {outcome, job's fields}.
-- ARGV: id, kind, tenant, circuit, key, priority, statement, public inputs, sealed inputs, proof to verify,
--       idempotency digest, ms it may wait in the queue, ms to keep it after its end, ms to keep the idempotency key,
--       queue limit, ms that a job may have waited before no more are taken, new jobs a day of the tenant (0: any),
--       cluster key that the inputs are sealed to ('' for whichever), what the names of the broker's lists begin with,
--       message that lets a worker take the job ('' if the caller sends word), trace that the job belongs to or ''
local id, kind, tenant, circuit, key, priority = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local statement, public, sealed, proof, idempotency = ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11]
local wait, keep, remember = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])
local limit, patience, quota = tonumber(ARGV[15]), tonumber(ARGV[16]), tonumber(ARGV[17])
local cluster_key, queues, message, trace = ARGV[18], ARGV[19], ARGV[20], ARGV[21]
local DAY = 86400000
local idempotency_key = 'gelap:idempotency:' .. tenant .. ':' .. idempotency

local function answer(outcome, job)
  if idempotency ~= '' then
    redis.call('HSET', idempotency_key, 'job', job, 'statement', statement)
    redis.call('PEXPIRE', idempotency_key, remember)
  end
  return {outcome, redis.call('HGETALL', job_key(job))}
end

local function create()
  redis.call('HSET', job_key(id), 'id', id, 'kind', kind, 'tenant', tenant, 'circuit', circuit, 'key', key,
    'priority', priority, 'statement', statement, 'public', public, 'created_ms', now, 'created_us', now_us,
    'expires_ms', now + wait, 'attempts', 0, 'retries', 0, 'losses', 0)
  if trace ~= '' then
    redis.call('HSET', job_key(id), 'trace', trace)
  end
end

-- A later caller for the same statement may be willing to wait longer, or want it sooner.
local function join(live)
  local hash = job_key(live)
  if not redis.call('ZSCORE', 'gelap:expiring', live) then
    return
  end
  redis.call('ZADD', 'gelap:expiring', 'GT', now + wait, live)
  redis.call('HSET', hash, 'expires_ms', redis.call('ZSCORE', 'gelap:expiring', live))
  local job = redis.call('HMGET', hash, 'priority', 'created_us')
  if priority < job[1] then
    redis.call('HSET', hash, 'priority', priority)
    redis.call('ZREM', queued_key(key, job[1]), live)
    redis.call('ZADD', queued_key(key, priority), job[2], live)
  end
end

if cluster_key ~= '' and redis.call('GET', 'gelap:cluster-key') ~= cluster_key then
  return {'stale', {}}
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
  -- What a fake device made is kept like a proof, but only a cluster of fake devices may answer with it.
  if cached and (string.byte(cached) == 255) == (redis.call('EXISTS', 'gelap:fake') == 1) then
    create()
    redis.call('HSET', job_key(id), 'proof', cached, 'cached', 1)
    count('cached')
    finish(id, 'SUCCEEDED', keep)
    return answer('cached', id)
  end
  local live = redis.call('GET', flight_key(tenant, statement))
  if live == id then
    -- A lost answer made the client library send the script again.
    return answer('new', id)
  end
  if live then
    join(live)
    count('joined')
    return answer('joined', live)
  end
end

if is_stopped(key) then
  return {'stopped', {}}
end
if redis.call('ZCARD', 'gelap:expiring') >= limit then
  return {'full', {}}
end
-- A tenth of the queue is for the other tenants.
if redis.call('SCARD', waiting_key(tenant)) >= math.ceil(limit * 0.9) then
  return {'crowded', {}}
end
for each = 1, 2 do
  local _, since = oldest(key, each)
  if since and now - since > patience then
    return {'overdue', {}}
  end
end

-- Last of all: only what becomes a new job is counted.
local used_key = 'gelap:quota:' .. tenant .. ':' .. math.floor(now / DAY)
local used = redis.call('INCR', used_key)
redis.call('PEXPIRE', used_key, 2 * DAY)
if quota > 0 and used > quota then
  redis.call('DECR', used_key)
  return {'spent', {DAY - now % DAY}}
end

create()
redis.call('HSETNX', 'gelap:keys', key, circuit)
if kind == 'prove' then
  -- They outlive the queue by an hour at most, even if no gateway is left to end the job.
  redis.call('SET', sealed_key(id), sealed, 'PX', wait + 3600000)
  redis.call('SET', flight_key(tenant, statement), id)
else
  redis.call('HSET', job_key(id), 'proof', proof)
end
count('submitted')
enqueue(id)
if message ~= '' then
  redis.call('LPUSH', queues .. key, message)
end
return answer('new', id)
