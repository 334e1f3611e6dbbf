-- Returns the descriptions of the workers seen lately.
-- ARGV: ms after which a silent worker counts as gone
local live = redis.call('ZRANGEBYSCORE', 'gelap:workers:seen', now - tonumber(ARGV[1]), '+inf')
if #live == 0 then
  return {}
end
return redis.call('HMGET', 'gelap:workers', unpack(live))
