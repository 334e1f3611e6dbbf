-- Renew the leases of one worker's attempts. Returns the ids of those that are no longer its own.
-- ARGV: ms of the lease, then id and token of each attempt
local lost = {}
for i = 2, #ARGV, 2 do
  if owns(ARGV[i], ARGV[i + 1]) then
    redis.call('ZADD', 'gelap:leases', now + tonumber(ARGV[1]), ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
