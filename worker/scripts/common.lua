-- Shared by every script of this folder, which the store sends together with it. Redis 6.2 and later.
--
--   gelap:job:<id>                        hash, the job
--   gelap:sealed:<id>                     its sealed inputs, until it ends
--   gelap:queued, gelap:expiring          sorted sets of queued jobs: by when they were queued, by when they expire
--   gelap:leases                          sorted set of running jobs, by when their lease ends
--   gelap:flight:<tenant>:<statement>     the job that is proving this statement now
--   gelap:proof:<tenant>:<statement>      a verified proof of it
--   gelap:idempotency:<tenant>:<digest>   hash, the job that a caller's idempotency key stands for
--   gelap:events                          channel: the id of a job whose state has changed
--
-- Times are milliseconds of Redis's own clock, so the clocks of gateways and workers do not matter.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function job_key(id)
  return 'gelap:job:' .. id
end

local function sealed_key(id)
  return 'gelap:sealed:' .. id
end

local function flight_key(tenant, statement)
  return 'gelap:flight:' .. tenant .. ':' .. statement
end

local function proof_key(tenant, statement)
  return 'gelap:proof:' .. tenant .. ':' .. statement
end

local function announce(id)
  redis.call('PUBLISH', 'gelap:events', id)
end

-- Put a job in the queue, for the first time or again. Sending it to a worker is up to the caller.
local function enqueue(id, expires)
  redis.call('HSET', job_key(id), 'state', 'QUEUED', 'queued_ms', now, 'expires_ms', expires)
  redis.call('HDEL', job_key(id), 'token')
  redis.call('ZREM', 'gelap:leases', id)
  redis.call('ZADD', 'gelap:queued', now, id)
  redis.call('ZADD', 'gelap:expiring', expires, id)
  announce(id)
end

-- End a job for good: no set or key holds it any longer, and its hash stays `keep` milliseconds for its callers.
local function finish(id, state, keep)
  local key = job_key(id)
  local job = redis.call('HMGET', key, 'tenant', 'statement')
  redis.call('HSET', key, 'state', state, 'ended_ms', now)
  redis.call('HDEL', key, 'token')
  redis.call('PEXPIRE', key, keep)
  redis.call('DEL', sealed_key(id))
  redis.call('ZREM', 'gelap:queued', id)
  redis.call('ZREM', 'gelap:expiring', id)
  redis.call('ZREM', 'gelap:leases', id)
  local flight = flight_key(job[1], job[2])
  if redis.call('GET', flight) == id then
    redis.call('DEL', flight)
  end
  announce(id)
end

-- Whether this attempt still owns the job: a worker that lost its lease must not touch another's attempt.
local function owns(id, token)
  local job = redis.call('HMGET', job_key(id), 'state', 'token')
  return job[1] == 'RUNNING' and job[2] == token
end
