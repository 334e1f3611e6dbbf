-- Shared by every script of this folder, which the store sends together with it. Redis 6.2 and later.
--
--   gelap:job:<id>                        hash, the job
--   gelap:sealed:<id>                     its sealed inputs, until it ends
--   gelap:queued:<key>:<priority>         sorted set of queued jobs of one proving key, by when they were submitted, in
--                                         microseconds: in one millisecond there may be several
--   gelap:expiring                        sorted set of all queued jobs, by when they expire
--   gelap:waiting:<tenant>                set of a tenant's queued jobs
--   gelap:leases                          sorted set of running jobs, by when their lease ends
--   gelap:suspects                        set of unfinished jobs that two workers or more were lost with
--   gelap:ended                           sorted set of the last jobs that ended, by when they did
--   gelap:flight:<tenant>:<statement>     the job that is proving this statement now
--   gelap:proof:<tenant>:<statement>      a verified proof of it
--   gelap:idempotency:<tenant>:<digest>   hash, the job that a caller's idempotency key stands for
--   gelap:quota:<tenant>:<day>            new jobs of a tenant on this day since 1970, UTC
--   gelap:keys                            hash, proving key -> name of its circuit
--   gelap:device-ms                       hash, proving key -> time a job takes on the device, a moving average
--   gelap:breaker:<key>                   hash, jobs whose proof did not verify, and since when that stops the circuit
--   gelap:counters                        hash, what has happened since the store was empty
--   gelap:events                          channel: "<id> <state>" of a job whose state has changed; when it has ended,
--                                         a space and its fields follow, each after its length in four bytes: whoever
--                                         waits for it need not ask
--   gelap:cancelled                       channel: the id of a job that was cancelled
--
-- <key> is the SHA-256 of the verification key that a proving key belongs to, in hexadecimal; <priority> 1 for normal
-- jobs and 2 for bulk. Times are milliseconds of Redis's own clock, so the clocks of gateways and workers do not matter.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_us = time[1] * 1000000 + time[2]

local function job_key(id)
  return 'gelap:job:' .. id
end

local function sealed_key(id)
  return 'gelap:sealed:' .. id
end

local function queued_key(key, priority)
  return 'gelap:queued:' .. key .. ':' .. priority
end

local function waiting_key(tenant)
  return 'gelap:waiting:' .. tenant
end

local function flight_key(tenant, statement)
  return 'gelap:flight:' .. tenant .. ':' .. statement
end

local function proof_key(tenant, statement)
  return 'gelap:proof:' .. tenant .. ':' .. statement
end

-- A Redis that is full refuses a script's writes unless the script has begun to write. What is in hand must be able to
-- end, which frees memory; only new jobs are refused. Deleting is a write that is never refused.
local function write_though_full()
  redis.call('DEL', 'gelap:nothing')
end

local function announce(id, state)
  redis.call('PUBLISH', 'gelap:events', id .. ' ' .. state)
end

local function count(what)
  redis.call('HINCRBY', 'gelap:counters', what, 1)
end

-- Put a job in the queue, for the first time or again; then it keeps its place. Sending word to a worker is up to the
-- caller, and so is news of it: of a new job nobody waits for any.
local function enqueue(id)
  local job = redis.call('HMGET', job_key(id), 'key', 'priority', 'created_us', 'expires_ms', 'tenant')
  redis.call('HSET', job_key(id), 'state', 'QUEUED', 'queued_ms', now)
  redis.call('HDEL', job_key(id), 'token', 'worker')
  redis.call('ZREM', 'gelap:leases', id)
  redis.call('ZADD', queued_key(job[1], job[2]), job[3], id)
  redis.call('ZADD', 'gelap:expiring', job[4], id)
  redis.call('SADD', waiting_key(job[5]), id)
end

local function enqueue_again(id)
  enqueue(id)
  announce(id, 'QUEUED')
end

local function announce_end(id, state)
  local parts = {}
  for _, part in ipairs(redis.call('HGETALL', job_key(id))) do
    parts[#parts + 1] = struct.pack('>I4', #part)
    parts[#parts + 1] = part
  end
  announce(id, state .. ' ' .. table.concat(parts))
end

-- How many of the jobs that ended last are listed.
local LISTED = 1000

-- End a job for good: no set or key holds it any longer, and its hash stays `keep` milliseconds for its callers.
local function finish(id, state, keep)
  local hash = job_key(id)
  local job = redis.call('HMGET', hash, 'tenant', 'statement', 'key', 'priority')
  redis.call('DEL', sealed_key(id))
  redis.call('HSET', hash, 'state', state, 'ended_ms', now)
  redis.call('HDEL', hash, 'token')
  redis.call('PEXPIRE', hash, keep)
  redis.call('ZREM', queued_key(job[3], job[4]), id)
  redis.call('ZREM', 'gelap:expiring', id)
  redis.call('SREM', waiting_key(job[1]), id)
  redis.call('ZREM', 'gelap:leases', id)
  redis.call('SREM', 'gelap:suspects', id)
  redis.call('ZADD', 'gelap:ended', now, id)
  redis.call('ZREMRANGEBYRANK', 'gelap:ended', 0, -LISTED - 1)
  local flight = flight_key(job[1], job[2])
  if redis.call('GET', flight) == id then
    redis.call('DEL', flight)
  end
  count(state)
  announce_end(id, state)
end

-- Lost workers that make a job suspect of ending them. One says nothing of a job.
local SUSPECT = 2

-- A lost worker does not spend a retry, but a job that takes one worker after another with it has to end. Returns whether
-- the job is queued again; `survivable` is how many losses it may survive.
local function lose(id, survivable, keep)
  count('lost_attempts')
  local losses = redis.call('HINCRBY', job_key(id), 'losses', 1)
  if losses > survivable then
    redis.call('HSET', job_key(id), 'error', 'worker-lost')
    count('poison_jobs')
    finish(id, 'FAILED', keep)
    return false
  end
  if losses >= SUSPECT then
    redis.call('SADD', 'gelap:suspects', id)
  end
  enqueue_again(id)
  return true
end

-- Whether this attempt still owns the job: a worker that lost its lease must not touch another's attempt.
local function owns(id, token)
  local job = redis.call('HMGET', job_key(id), 'state', 'token')
  return job[1] == 'RUNNING' and job[2] == token
end

-- The job that has waited longest in a set, and when it was submitted; none for an empty set.
local function oldest(key, priority)
  local head = redis.call('ZRANGE', queued_key(key, priority), 0, 0, 'WITHSCORES')
  return head[1], head[2] and tonumber(head[2]) / 1000
end

local function is_stopped(key)
  return redis.call('HEXISTS', 'gelap:breaker:' .. key, 'stopped_ms') == 1
end
