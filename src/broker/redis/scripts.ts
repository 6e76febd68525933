// What Redis does in one step, in Lua.

/**
 * Adds the dead letter and settles the message, unless it was settled before: 1, or 0. Keys: the stream, its dead letters. Arguments: the group,
 * the id, then the fields of the dead letter.
 */
export const buryScript = `
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 3))
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
return 1`;

/** Takes a member off the list, unless it has messages: they would go with it. Key: the stream. Arguments: the group, the member. */
export const leaveScript = `
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])`;
