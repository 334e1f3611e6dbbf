-- Count a job against its tenant's quota of the day, if any is left. Returns {'ok', the counter}, or {'spent', ms until
-- the next day}.
-- ARGV: tenant, jobs a day (0: any number)
local counter, quota = quota_key(ARGV[1]), tonumber(ARGV[2])
local used = redis.call('INCR', counter)
if used == 1 then
  redis.call('PEXPIRE', counter, 2 * day_ms)
end
if quota > 0 and used > quota then
  redis.call('DECR', counter)
  return {'spent', day_ms - now % day_ms}
end
return {'ok', counter}
