// What publisher and consumer share: options, and the declaration of the queue.
'use strict';

const { parseArgs } = require('node:util');

/** --url, --queue and --type; the first two may come from AMQP_URL and AMQP_QUEUE. What follows them is `rest`. */
function options() {
  const args = process.argv.slice(2);
  let count = 0;
  while (args[count]?.startsWith('--')) count += args[count].includes('=') ? 1 : 2;
  const { values } = parseArgs({
    args: args.slice(0, count),
    options: {
      url: { type: 'string', default: process.env.AMQP_URL || 'amqp://guest:guest@127.0.0.1:5672/' },
      queue: { type: 'string', default: process.env.AMQP_QUEUE || 'hooks2' },
      type: { type: 'string' },
    },
  });
  return { ...values, rest: args.slice(count) };
}

/**
 * Whoever comes first makes the queue; for all others this only says that they mean the same one. Every program
 * that uses the queue must name these same parameters: with any other the broker answers 406 PRECONDITION_FAILED.
 */
async function declareQueue(channel, queue) {
  await channel.assertQueue(queue, { durable: true, exclusive: false, autoDelete: false, arguments: {} });
}

/** Say what went wrong and end. */
function fail(error) {
  console.error(`error: ${error.message}`);
  process.exit(1);
}

module.exports = { options, declareQueue, fail };
