-- What the page shows of some items, cut out of their rows: a shop of 250,000 is read in pieces
-- that hold nobody up, here or in the worker that shares its thread of Python with the page.
--
-- KEYS: names, rows, this hour, the hour before, catalog and campaign lines; all of one partition
-- ARGV: first and last place, whether names and whether campaigns are wanted, the size of a row
-- `parts_of(row)` is filled in: the parts of a row that are wanted, joined
-- Returns names, parts of rows, units of both hours, of items with campaigns place and lines, and,
-- where those are wanted, the category of each item.
local stored = redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[2])
if #stored == 0 then
  return {{}, '', '', '', {}, {}}
end
local fields = {}
for place, name in ipairs(stored) do
  local item = cjson.decode(name)
  fields[place] = item[1] .. '@' .. item[2]
end

local sub = string.sub
local size = tonumber(ARGV[5])
local none = string.rep('\0', size)
local rows = redis.call('HMGET', KEYS[2], unpack(fields))
for place, row in ipairs(rows) do
  row = row or none
  if #row ~= size then
    return redis.error_reply('ERR a row has ' .. #row .. ' bytes, this version expects ' .. size)
  end
  rows[place] = parts_of(row)
end

local function units(key)
  local cells = redis.call('HMGET', key, unpack(fields))
  for place, cell in ipairs(cells) do
    cells[place] = sub(cell or none, 1, 8)
  end
  return table.concat(cells)
end

local campaigns, categories = {}, {}
if ARGV[4] == '1' then
  for place, line in ipairs(redis.call('HMGET', KEYS[5], unpack(fields))) do
    categories[place] = line and string.match(line, '"category":"([^"\\]*)"') or ''
    if line and sub(line, -4) ~= ',[]]' then
      campaigns[#campaigns + 1] = place - 1
      campaigns[#campaigns + 1] = line
    end
  end
end
return {ARGV[3] == '1' and stored or {}, table.concat(rows), units(KEYS[3]), units(KEYS[4]), campaigns, categories}
