-- Shared by every script of this folder, which the gateway sends together with it. Redis 6.2 and later.
--
--   gelap:tenants                       hash: a tenant's name -> its id
--   gelap:tenant:<id>                   hash: name, scopes, and limits of its own (rate, burst, quota) if it has any
--   gelap:apikey:<SHA-256 of the key>   hash: the tenant that the key stands for
--   gelap:apikeys                       hash: a key's short id -> JSON of what `gelap apikey list` shows; off the path of calls
--   gelap:bucket:<tenant>               hash: tokens left, and when that was
--   gelap:quota:<tenant>:<day>          new jobs on this day (since 1970, UTC); the job store counts them
--
-- Times are milliseconds of Redis's own clock, so the clocks of gateways do not matter.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
