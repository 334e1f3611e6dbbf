-- Let a call in. Returns {'ok', tenant, its name, scopes, quota}, {'unknown'}, or {'limited', ms until a token is there}.
-- ARGV: SHA-256 of the API key, then what counts for tenants without limits of their own: calls a second (0: any
--       number), calls at once, jobs a day (0: any number)
local key = redis.call('HGET', 'gelap:apikey:' .. ARGV[1], 'tenant')
if not key then
  return {'unknown'}
end
local tenant = redis.call('HMGET', 'gelap:tenant:' .. key, 'name', 'scopes', 'rate', 'burst', 'quota')
if not tenant[1] then
  return {'unknown'}
end
local rate, burst = tonumber(tenant[3] or ARGV[2]), tonumber(tenant[4] or ARGV[3])
if rate > 0 then
  local bucket_key = 'gelap:bucket:' .. key
  local bucket = redis.call('HMGET', bucket_key, 'tokens', 'at')
  local tokens = burst
  if bucket[1] then
    tokens = math.min(burst, tonumber(bucket[1]) + math.max(0, now - tonumber(bucket[2])) * rate / 1000)
  end
  if tokens < 1 then
    return {'limited', math.ceil((1 - tokens) * 1000 / rate)}
  end
  -- A Redis that is full refuses a script's writes unless it has begun to write, which deleting does. Callers must get
  -- through to their jobs then.
  redis.call('DEL', 'gelap:nothing')
  redis.call('HSET', bucket_key, 'tokens', tostring(tokens - 1), 'at', now)
  redis.call('PEXPIRE', bucket_key, math.ceil(burst / rate * 1000) + 1000)
end
return {'ok', key, tenant[1], tenant[2], tenant[5] or ARGV[4]}
