-- Hand a job back that its worker will not finish because it is stopping; neither a try nor a worker was lost.
-- Returns 1, or 0 when the attempt no longer owns the job.
-- ARGV: id, token
if not owns(ARGV[1], ARGV[2]) then
  return 0
end
write_though_full()
count('handed_back')
enqueue(ARGV[1])
return 1
