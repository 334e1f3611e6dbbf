-- Returns how many jobs a tenant had today.
-- ARGV: tenant
return tonumber(redis.call('GET', quota_key(ARGV[1])) or 0)
