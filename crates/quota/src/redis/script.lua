-- What the ledger's `answer` does, step by step, on a hash. Times are nanoseconds; below 2^53 (104 days of a rate that never
-- rests) they are exact here, beyond that to a few nanoseconds. The server's clock is kept as seconds and microseconds.
local FRESH, GONE, SLACK, STALE, HUNGRY, SAME_WAIT, LONGEST_LEASE = 1e8, 1e10, 1e8, 1e9, 1e8, 1e8, 5e7
local LONGEST_WAIT = 3.6e12
local KEPT_MS = 86400000

local key = KEYS[1]
local me, interval, label = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local want, span, earliest = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local wait, wait_asked, quiet = tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9])
local known_generation, known_sequence = ARGV[10], tonumber(ARGV[11])
local nonce, peek = ARGV[12], ARGV[13] == '1'

-- An error that it hands back keeps its name, which one that ends it loses on older servers.
local clock = { ARGV[14], ARGV[15] }
if not clock[1] then
  clock = redis.pcall('TIME')
  if clock.err then return clock end
end
local seconds, micros = tonumber(clock[1]), tonumber(clock[2])

local stored = redis.pcall('HGETALL', key)
if stored.err then return stored end
local values, members = {}, {}
local find, sub = string.find, string.sub
for i = 1, #stored, 2 do
  local field, value = stored[i], stored[i + 1]
  if sub(field, 1, 2) == 'm:' then
    members[field] = value
  else
    values[field] = value
  end
end
local function number(name) return tonumber(values[name]) or 0 end
local function text(integer) return string.format('%.0f', integer) end

local generation, sequence = values.generation, number('sequence')
local seen_seconds, seen_micros, now, next = number('seen_s'), number('seen_us'), number('now'), number('next')
local held_interval, held_label = number('interval'), values.label or ''
local hold, asked = number('hold'), values.asked or '0'
if not generation then
  generation, sequence, now, next, held_interval, held_label, hold, asked = nonce, 0, 0, FRESH, 0, '', 0, '0'
  seen_seconds, seen_micros, members = seconds, micros, {}
end

-- The clock goes on.
local passed = (seconds - seen_seconds) * 1e9 + (micros - seen_micros) * 1e3
if passed > 0 or passed < -STALE then
  seen_seconds, seen_micros = seconds, micros
end
if passed >= 0 and (not quiet or passed <= math.max(quiet, 0) + SLACK) then
  local ahead = math.min(math.max(next - now, 0), FRESH)
  now = now + passed
  if not quiet and passed > SLACK then next = math.max(next, now + ahead) end
end

-- An older one of what was here.
if known_generation == generation and known_sequence > sequence then
  generation, next = nonce, math.max(next, now + FRESH)
end

local gone, leaving, others, sharers, mine = {}, {}, 0, 1, 'm:' .. me
for field, value in pairs(members) do
  local comma = find(value, ',', 1, true) or 0
  if now - (tonumber(sub(value, 1, comma - 1)) or 0) >= GONE then
    gone[#gone + 1], leaving[field] = field, true
  elseif field ~= mine then
    others = others + 1
    if (tonumber(sub(value, comma + 1)) or 0) > now then sharers = sharers + 1 end
  end
end

-- No more is planned ahead than those who are there may have at hand.
local there = others
if members[mine] and not leaving[mine] then there = there + 1 end
next = math.min(next, now + math.max(held_interval, LONGEST_LEASE) * (there + 1) + FRESH)
hold = math.min(hold, now + LONGEST_WAIT)

if held_interval ~= interval then
  if others > 0 then return { 'other', held_label, text(others) } end
  if not peek then held_interval, held_label, next = interval, label, now + FRESH end
end

local told = now + math.min(wait, LONGEST_WAIT)
if told > math.max(hold, now) + SAME_WAIT then hold, asked = told, wait_asked end
local left = math.max(hold - now, 0)

local starts, planned, hungry = 0, now, 0
if not peek then
  if want > 0 and left == 0 then
    local most = math.floor(math.min(math.floor(LONGEST_LEASE / sharers), span) / interval)
    starts = math.max(1, math.min(most, want))
    planned = math.max(next, now + earliest)
    next = planned + starts * interval
    if want > starts or planned > now then hungry = math.max(next, now) + HUNGRY end
  end
  sequence = sequence + 1
  local written = redis.pcall('HSET', key,
    'generation', generation, 'sequence', text(sequence),
    'seen_s', text(seen_seconds), 'seen_us', text(seen_micros), 'now', text(now), 'next', text(next),
    'interval', text(held_interval), 'label', held_label, 'hold', text(hold), 'asked', asked,
    mine, text(now) .. ',' .. text(hungry))
  if type(written) == 'table' and written.err then return written end
  for _, field in ipairs(gone) do
    if field ~= mine then redis.call('HDEL', key, field) end
  end
  redis.call('PEXPIRE', key, text(KEPT_MS + math.ceil(math.max(left, next - now, 0) / 1e6)))
end

return { 'starts', generation, text(sequence), text(now), text(planned), text(starts), text(sharers), text(left), asked }
