-- Returns how many new jobs a tenant had today (UTC).
-- ARGV: tenant
return tonumber(redis.call('GET', 'gelap:quota:' .. ARGV[1] .. ':' .. math.floor(now / 86400000)) or 0)
