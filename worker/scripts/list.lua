-- The jobs of the cluster, for its operator: running ones, then queued ones, then those that ended last.
-- Returns the fields of each. ARGV: most jobs of each kind
local most = tonumber(ARGV[1])
local found = {}
local function add(ids)
  for _, id in ipairs(ids) do
    local fields = redis.call('HGETALL', job_key(id))
    if #fields > 0 then
      found[#found + 1] = fields
    end
  end
end
add(redis.call('ZRANGE', 'gelap:leases', 0, most - 1))
add(redis.call('ZRANGE', 'gelap:expiring', 0, most - 1))
add(redis.call('ZREVRANGE', 'gelap:ended', 0, most - 1))
return found
