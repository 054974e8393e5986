"""What Redis does at a stroke, as Lua, and how presence lies there.

``nodes`` is a hash: incarnation of a node → ``LINK EXPIRES``, the number of its link and when its lease ends (Redis's
own clock, ms; 0 when it has left). ``online`` is a hash: uid → one ``CLIENT_TYPE INCARNATION SESSION;`` for each
session. ``node:INCARNATION`` is the set of the uids that have a session there, so that a dead node's can be found;
``lost:INCARNATION`` the set of ``UID CLIENT_TYPE SESSION`` that other nodes have replaced and it hasn't heard of yet.

What puts an entry in names the link it came by, and does nothing when a newer link is known: what a lost connection
still had on its way must not take effect after what its successor has said.
"""

_COMMON = """
local nodes, online, prefix = KEYS[1], KEYS[2], KEYS[3]

local function now()
    local time = redis.call('TIME')
    return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function is_alive(node)
    local lease = redis.call('HGET', nodes, node)
    return lease and tonumber(string.match(lease, ' (%d+)')) > now()
end

local function is_latest(node, link)
    local lease = redis.call('HGET', nodes, node)
    return lease and string.match(lease, '^%d+') == link
end

local function look(uid, kind)
    -- What is there but of that client type; who holds the client type, and by which session.
    local rest, holder, held_by = '', false, false
    for k, node, session in string.gmatch(redis.call('HGET', online, uid) or '', '(%d+) (%S+) ([^%s;]+);') do
        if k == kind then
            holder, held_by = node, session
        else
            rest = rest .. k .. ' ' .. node .. ' ' .. session .. ';'
        end
    end
    return rest, holder, held_by
end

local function unlist(uid, node, rest)
    if not string.find(rest, ' ' .. node .. ' ', 1, true) then
        redis.call('SREM', prefix .. 'node:' .. node, uid)
    end
end

local function put(uid, kind, node, session)
    local rest, holder, held_by = look(uid, kind)
    redis.call('HSET', online, uid, rest .. kind .. ' ' .. node .. ' ' .. session .. ';')
    redis.call('SADD', prefix .. 'node:' .. node, uid)
    if holder and holder ~= node then
        redis.call('SADD', prefix .. 'lost:' .. holder, uid .. ' ' .. kind .. ' ' .. held_by)
        unlist(uid, holder, rest)
    end
    return holder, held_by
end
"""

RENEW = (
    _COMMON
    + """
-- incarnation, link, lease in ms, channel. Returns whether the lease was held, the time (ms), and each incarnation with
-- the ms it has.
local node, link, channel = ARGV[1], ARGV[2], ARGV[4]
local was, at = redis.call('HGET', nodes, node), now()
if was and tonumber(string.match(was, '^%d+')) > tonumber(link) then return false end
local is_held = was and tonumber(string.match(was, ' (%d+)')) > at
if redis.call('EXISTS', online) == 0 and redis.call('EXISTS', prefix .. 'node:' .. node) == 1 then
    is_held = false -- it was evicted, and then what it held is as lost as the lease
end
redis.call('HSET', nodes, node, string.format('%s %.0f', link, at + tonumber(ARGV[3])))
if not is_held then redis.call('PUBLISH', channel, 'came ' .. node) end
local found = {is_held and 1 or 0, at}
local leases = redis.call('HGETALL', nodes)
for i = 1, #leases, 2 do
    found[#found + 1] = leases[i]
    found[#found + 1] = tonumber(string.match(leases[i + 1], ' (%d+)')) - at
end
return found
"""
)

LEAVE = (
    _COMMON
    + """
-- incarnation, link, channel. The entries are swept by whoever hears of it.
redis.call('HSET', nodes, ARGV[1], ARGV[2] .. ' 0')
return redis.call('PUBLISH', ARGV[3], 'left ' .. ARGV[1])
"""
)

LOGIN = (
    _COMMON
    + """
-- incarnation, link, uid, client type, session. Returns who was replaced ('' for nobody, and for whom a dead node
-- left behind), or nothing when the link is not the latest.
if not is_latest(ARGV[1], ARGV[2]) then return false end
local holder, held_by = put(ARGV[3], ARGV[4], ARGV[1], ARGV[5])
return holder and is_alive(holder) and holder .. ' ' .. held_by or ''
"""
)

LOGOUT = (
    _COMMON
    + """
-- incarnation, then uid, client type, session of each. Returns the uids of those that were there.
local gone = {}
for i = 2, #ARGV, 3 do
    local uid, kind, session = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local rest, holder, held_by = look(uid, kind)
    if holder == ARGV[1] and held_by == session then
        if rest == '' then redis.call('HDEL', online, uid) else redis.call('HSET', online, uid, rest) end
        unlist(uid, holder, rest)
        gone[#gone + 1] = uid
    end
end
return gone
"""
)

REGISTER = (
    _COMMON
    + """
-- incarnation, link, then uid, client type, session of each. Returns for each: it was there ('='), it was put in ('+'),
-- or a newer login holds its place ('-'); nothing when the link is not the latest.
if not is_latest(ARGV[1], ARGV[2]) then return false end
local found = {}
for i = 3, #ARGV, 3 do
    local uid, kind, session = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local rest, holder, held_by = look(uid, kind)
    if holder == ARGV[1] and held_by == session then
        found[#found + 1] = '='
    elseif holder and is_alive(holder) then
        found[#found + 1] = '-'
    else
        put(uid, kind, ARGV[1], session)
        redis.call('SREM', prefix .. 'lost:' .. ARGV[1], uid .. ' ' .. kind .. ' ' .. session)
        found[#found + 1] = '+'
    end
end
return table.concat(found)
"""
)

SWEEP = (
    _COMMON
    + """
-- incarnation, how many users at most. Returns the users whose entries there were taken out; none when that was all, or
-- when its lease holds again.
local node = ARGV[1]
if is_alive(node) then return {} end
local uids = redis.call('SPOP', prefix .. 'node:' .. node, ARGV[2])
for _, uid in ipairs(uids) do
    local rest = ''
    for entry in string.gmatch(redis.call('HGET', online, uid) or '', '[^;]+;') do
        if not string.find(entry, ' ' .. node .. ' ', 1, true) then rest = rest .. entry end
    end
    if rest == '' then redis.call('HDEL', online, uid) else redis.call('HSET', online, uid, rest) end
end
if #uids == 0 then
    redis.call('HDEL', nodes, node)
    redis.call('DEL', prefix .. 'lost:' .. node)
end
return uids
"""
)
