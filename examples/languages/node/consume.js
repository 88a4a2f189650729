// Runs a program for every message of a queue, until Ctrl-C or SIGTERM:
//
//     node consume.js --queue hooks2           runs shell/work.sh, which prints the message
//     node consume.js --queue hooks2 ./mine    runs your own
//
// The program finds the message on its standard input.
'use strict';

const { spawn } = require('node:child_process');
const path = require('node:path');
const { connect } = require('amqplib');
const { declareQueue, fail, options } = require('./connection');

/**
 * The work: whatever is to be done with a message. Put your own code here; it is done when the promise is kept, and failed
 * when that is broken.
 *
 * What it must not do is print into a pipe and be content: a pipe takes 64 kB that perhaps nobody ever reads. The exit code
 * of a program tells.
 */
function work(body, [program, ...args]) {
  return new Promise((done, failed) => {
    const child = spawn(program, args, { stdio: ['pipe', 'inherit', 'inherit'] });
    child.on('error', failed);
    child.on('close', (code, signal) =>
      code === 0 ? done() : failed(new Error(`the work failed with ${signal ?? `exit code ${code}`}`)),
    );
    child.stdin.on('error', () => {}); // it need not read all of it
    child.stdin.end(body);
  });
}

async function main() {
  const { url, queue, rest } = options();
  const program = rest.length ? rest : [path.join(__dirname, '..', 'shell', 'work.sh')];
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
  let stopping = false;
  const { consumerTag } = await channel.consume(queue, (message) => {
    if (message === null) fail(new Error('the queue was deleted'));
    working = working.then(async () => {
      if (stopping) return; // it waits here, and goes back to the queue
      await work(message.content, program);
      channel.ack(message);
    });
    working.catch(fail);
  });
  console.error(`waiting for messages in ${queue}`);

  // A signal ends the waiting between two messages, never the work on one.
  await new Promise((signalled) => {
    process.once('SIGINT', signalled);
    process.once('SIGTERM', signalled);
    connection.once('close', () => fail(new Error('the broker closed the connection')));
  });
  stopping = true;
  connection.removeAllListeners('close');
  await channel.cancel(consumerTag);
  await working;
  await channel.close(); // behind the last acknowledgement; closing the connection at once would overtake it
  await connection.close();
}

main().catch(fail);
