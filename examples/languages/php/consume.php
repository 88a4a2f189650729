#!/usr/bin/php
<?php
// Prints every message of a queue, one per line, until Ctrl-C or SIGTERM:
//
//     php consume.php --queue hooks2

declare(strict_types=1);

require __DIR__ . '/connection.php';

use PhpAmqpLib\Message\AMQPMessage;

/** The work: whatever is to be done with a message. */
function work(string $body): void
{
    fwrite(STDOUT, $body . "\n");
}

$options = options();
$connection = connect($options['url']);
$channel = $connection->channel();
declareQueue($channel, $options['queue']);

// At most ten messages wait here; all others stay in the queue, for other consumers too.
$channel->basic_qos(0, 10, false);

// Acknowledged after the work, never before it: what is not acknowledged when we end, even if we crash, goes back
// to the queue. So an exception may simply end this program, and whatever watches over it starts it again.
$onMessage = function (AMQPMessage $message): void {
    work($message->getBody());
    $message->ack();
};
$channel->basic_consume($options['queue'], callback: $onMessage);

// A signal ends the waiting between two messages, never the work on one.
pcntl_async_signals(true);
foreach ([SIGINT, SIGTERM] as $signal) {
    pcntl_signal($signal, fn () => $channel->stopConsume());
}

fwrite(STDERR, "waiting for messages in {$options['queue']}\n");
$channel->consume(1.0); // a second at most until it looks whether it shall stop
$connection->close();
