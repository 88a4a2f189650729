// Publishes standard input, byte for byte, as one message:
//
//     node publish.js --queue hooks2 --type customer.created <event.json
'use strict';

const { randomUUID } = require('node:crypto');
const { buffer } = require('node:stream/consumers');
const { connect } = require('amqplib');
const { declareQueue, fail, options } = require('./connection');

async function main() {
  const { url, queue, type } = options();
  const body = await buffer(process.stdin); // readFileSync would fail where standard input has nothing yet
  const connection = await connect(url);
  connection.on('error', fail);
  // On a confirm channel the broker tells when it has a message; on another one nobody would.
  const channel = await connection.createConfirmChannel();
  await declareQueue(channel, queue);

  channel.on('return', () => fail(new Error('no queue took the message')));
  channel.sendToQueue(queue, body, {
    persistent: true, // it survives a restart of the broker
    mandatory: true, // do not drop it silently if there is no such queue
    contentType: 'application/json',
    messageId: randomUUID(), // by it a receiver knows what it has seen before
    type, // what patterns of hooks are compared with, for bodies of no known format
  });
  await channel.waitForConfirms(); // rejects if the broker refused the message

  await connection.close();
  console.error(`published ${body.length} bytes to ${queue}, confirmed`);
}

main().catch(fail);
