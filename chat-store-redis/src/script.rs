//! What Redis itself computes, by its own clock. Each script touches the one key that it is given.

use std::sync::LazyLock;

use redis::{Pipeline, Value};

use crate::{error::Fault, link::Link};

/// A script and the name by which Redis knows it.
pub(crate) struct Script {
    code: &'static str,
    hash: String,
}

impl Script {
    fn new(code: &'static str) -> Self {
        Self { code, hash: redis::Script::new(code).get_hash().to_owned() }
    }
}

/// Takes or renews a node's lease. A user's leases are a hash: a field a node with the rank of its word and
/// when it ends, and the field `seen` with the moment they were last seen. What has ended is swept out.
/// Arguments: node, rank, lifetime in ms, how long the last sight is kept in ms.
pub(crate) static RENEW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = now + ARGV[3]
local last = ends
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
    local other = tonumber(string.sub(fields[i + 1], 2))
    if fields[i] == 'seen' or other <= now then
        redis.call('HDEL', KEYS[1], fields[i])
    elseif fields[i] ~= ARGV[1] then
        last = math.max(last, other)
    end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. string.format('%.0f', ends))
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last + ARGV[4]))
",
    )
});

/// Ends a node's lease. One that has run out already ended at its own moment.
/// Arguments: node, how long the last sight is kept in ms.
pub(crate) static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local mine = redis.call('HGET', KEYS[1], ARGV[1])
if not mine or tonumber(string.sub(mine, 2)) <= now then
    return
end
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
    if fields[i] ~= ARGV[1] and tonumber(string.sub(fields[i + 1], 2)) > now then
        redis.call('HDEL', KEYS[1], ARGV[1])
        return
    end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'seen', '0' .. string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
",
    )
});

/// Answers the highest rank of leases that hold, 0 for none, and when the user was last seen, 0 for never.
pub(crate) static LOOK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local rank, seen = 0, 0
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
    local moment = tonumber(string.sub(fields[i + 1], 2))
    if fields[i] == 'seen' or moment <= now then
        seen = math.max(seen, moment)
    else
        rank = math.max(rank, tonumber(string.sub(fields[i + 1], 1, 1)))
    end
end
return {rank, seen}
",
    )
});

/// Takes one unit (GCRA). The key holds the moment, in microseconds, at which the quota is whole again.
/// Arguments: units a second, burst. Answers 0, or the milliseconds to wait.
pub(crate) static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local unit = 1000000 / ARGV[1]
local whole = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + unit
local wait = whole - unit * ARGV[2] - now
if wait > 0 then
    return math.ceil(wait / 1000)
end
local lasts = math.max(1, math.ceil((whole - now) / 1000))
redis.call('SET', KEYS[1], string.format('%.3f', whole), 'PX', string.format('%.0f', lasts))
return 0
",
    )
});

/// Adds a question to a list, before it the moment in ms after which nobody wants its answer. The list goes when
/// that has come for the last of it. Arguments: how many may wait, lifetime in ms, the question. Answers 0 for a
/// full list, else 1.
pub(crate) static ASK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[1]) then
    return 0
end
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
redis.call('RPUSH', KEYS[1], string.format('%.0f', ends) .. ' ' .. ARGV[3])
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.max(ends, ends - ARGV[2] + redis.call('PTTL', KEYS[1]))))
return 1
",
    )
});

/// Teaches Redis all scripts.
pub(crate) fn load_all() -> Pipeline {
    let mut commands = redis::pipe();
    for script in [&RENEW, &RELEASE, &LOOK, &TAKE, &ASK] {
        commands.cmd("SCRIPT").arg("LOAD").arg(script.code);
    }
    commands
}

/// Adds a call of a script; its arguments follow with [`Pipeline::arg`].
pub(crate) fn call<'a>(commands: &'a mut Pipeline, script: &Script, key: &str) -> &'a mut Pipeline {
    commands.cmd("EVALSHA").arg(&script.hash).arg(1).arg(key)
}

/// Runs calls of scripts in one write. Redis may have forgotten the scripts: then it is taught them, and all
/// calls are made again, which none of them minds.
pub(crate) async fn run(link: &Link, calls: &Pipeline) -> Result<Vec<Value>, Fault> {
    match link.run(calls).await {
        Err(fault) if fault.is_unknown_script() => {
            link.run(&load_all()).await?;
            link.run(calls).await
        }
        answers => answers,
    }
}
