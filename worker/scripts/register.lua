-- A worker's sign of life, and the cluster key it holds. Returns 1, or 0 when live workers hold another key.
-- ARGV: worker, its description, public key, ms after which a silent worker counts as gone
local worker, description, public_key, silence = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', 'gelap:workers:seen', '-inf', now - silence)) do
  redis.call('ZREM', 'gelap:workers:seen', gone)
  redis.call('HDEL', 'gelap:workers', gone)
end
local published = redis.call('GET', 'gelap:cluster-key')
if published and published ~= public_key then
  local others = redis.call('ZCARD', 'gelap:workers:seen')
  if redis.call('ZSCORE', 'gelap:workers:seen', worker) then
    others = others - 1
  end
  if others > 0 then
    return 0
  end
end
redis.call('SET', 'gelap:cluster-key', public_key)
redis.call('ZADD', 'gelap:workers:seen', now, worker)
redis.call('HSET', 'gelap:workers', worker, description)
return 1
