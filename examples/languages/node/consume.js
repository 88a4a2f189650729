// Prints every message of a queue, one per line, until Ctrl-C or SIGTERM:
//
//     node consume.js --queue hooks2
'use strict';

const { connect } = require('amqplib');
const { declareQueue, fail, options } = require('./connection');

/** The work: whatever is to be done with a message. */
function work(body) {
  return new Promise((done, failed) => {
    process.stdout.write(Buffer.concat([body, Buffer.from('\n')]), (error) => (error ? failed(error) : done()));
  });
}

async function main() {
  const { url, queue } = options();
  const connection = await connect(url);
  connection.on('error', fail);
  const channel = await connection.createChannel();
  await declareQueue(channel, queue);

  // At most ten messages wait here; all others stay in the queue, for other consumers too.
  await channel.prefetch(10);

  // One message at a time, and acknowledged after the work, never before it: what is not acknowledged when we end,
  // even if we crash, goes back to the queue. So a failure may simply end this program, and whatever watches over
  // it starts it again.
  let working = Promise.resolve();
  const { consumerTag } = await channel.consume(queue, (message) => {
    if (message === null) fail(new Error('the queue was deleted'));
    working = working.then(() => work(message.content)).then(() => channel.ack(message));
    working.catch(fail);
  });
  console.error(`waiting for messages in ${queue}`);

  // A signal ends the waiting between two messages, never the work on one.
  await new Promise((signalled) => {
    process.once('SIGINT', signalled);
    process.once('SIGTERM', signalled);
    connection.once('close', () => fail(new Error('the broker closed the connection')));
  });
  connection.removeAllListeners('close');
  await channel.cancel(consumerTag);
  await working;
  await connection.close();
}

main().catch(fail);
