-- Hand a job back that its worker will not finish: because it is stopping, which costs neither a try nor a worker, or
-- because its device is lost, which counts as a lost worker. Returns 1 when the job is queued again, or 0.
-- ARGV: id, token, losses a job may survive (-1: nothing was lost), ms to keep a job after its end
local id, losses = ARGV[1], tonumber(ARGV[3])
if not owns(id, ARGV[2]) then
  return 0
end
write_though_full()
if losses >= 0 then
  return lose(id, losses, ARGV[4]) and 1 or 0
end
count('handed_back')
enqueue_again(id)
return 1
