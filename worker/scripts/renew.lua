-- Renew the leases of one worker's attempts. Returns the ids of those that are no longer its own, or have taken longer
-- than an attempt may: a device that hangs renews its leases like any other.
-- ARGV: ms of the lease, then id and token of each attempt
local lost = {}
write_though_full()
for i = 2, #ARGV, 2 do
  local id = ARGV[i]
  if owns(id, ARGV[i + 1]) and tonumber(redis.call('HGET', job_key(id), 'stops_ms')) > now then
    redis.call('ZADD', 'gelap:leases', now + tonumber(ARGV[1]), id)
  else
    lost[#lost + 1] = id
  end
end
return lost
