-- A worker's sign of life, and the cluster key it holds. Returns 1, or 0 when live workers hold another key, or -1 when
-- they and this one are not all fake or all real.
-- ARGV: worker, its description, public key, ms after which a silent worker counts as gone, 1 for a fake device
local worker, description, public_key, silence, fake = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1'
write_though_full()
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', 'gelap:workers:seen', '-inf', now - silence)) do
  redis.call('ZREM', 'gelap:workers:seen', gone)
  redis.call('HDEL', 'gelap:workers', gone)
  count('lost_workers')
end
local others = redis.call('ZCARD', 'gelap:workers:seen')
if redis.call('ZSCORE', 'gelap:workers:seen', worker) then
  others = others - 1
end
local published = redis.call('GET', 'gelap:cluster-key')
if others > 0 and published and published ~= public_key then
  return 0
end
if others > 0 and (redis.call('EXISTS', 'gelap:fake') == 1) ~= fake then
  return -1
end
if fake then
  redis.call('SET', 'gelap:fake', 1)
else
  redis.call('DEL', 'gelap:fake')
end
redis.call('SET', 'gelap:cluster-key', public_key)
redis.call('ZADD', 'gelap:workers:seen', now, worker)
redis.call('HSET', 'gelap:workers', worker, description)
return 1
