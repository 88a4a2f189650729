#!/usr/bin/php
<?php
// Runs a program for every message of a queue, until Ctrl-C or SIGTERM:
//
//     php consume.php --queue hooks2           runs shell/work.sh, which prints the message
//     php consume.php --queue hooks2 ./mine    runs your own
//
// The program finds the message on its standard input.

declare(strict_types=1);

require __DIR__ . '/connection.php';

use PhpAmqpLib\Message\AMQPMessage;

/**
 * The work: whatever is to be done with a message. Put your own code here; it returns when the work is done, and throws
 * when it failed.
 *
 * What it must not do is print into a pipe and be content: a pipe takes 64 kB that perhaps nobody ever reads. The exit code
 * of a program tells.
 */
function work(string $body, array $program): void
{
    $input = tmpfile();
    fwrite($input, $body);
    rewind($input);
    // Output is inherited: handed over here, PHP would set a file back to where it was for each program.
    $process = proc_open($program, [$input], $pipes);
    if ($process === false || ($code = proc_close($process)) !== 0) {
        throw new RuntimeException('the work failed' . (isset($code) ? " with exit code $code" : ''));
    }
}

$options = options(['work' => [dirname(__DIR__) . '/shell/work.sh']]);
$connection = connect($options['url']);
$channel = $connection->channel();
declareQueue($channel, $options['queue']);

// At most ten messages wait here; all others stay in the queue, for other consumers too.
$channel->basic_qos(0, 10, false);

// Acknowledged after the work, never before it: what is not acknowledged when we end, even if we crash, goes back
// to the queue. So a failure may simply end this program, and whatever watches over it starts it again.
$onMessage = function (AMQPMessage $message) use ($options): void {
    work($message->getBody(), $options['work']);
    $message->ack();
};
$channel->basic_consume($options['queue'], callback: $onMessage);

// A signal ends the waiting between two messages, never the work on one.
pcntl_async_signals(true);
foreach ([SIGINT, SIGTERM] as $signal) {
    pcntl_signal($signal, fn () => $channel->stopConsume());
}

fwrite(STDERR, "waiting for messages in {$options['queue']}\n");
try {
    $channel->consume(1.0); // a second at most until it looks whether it shall stop
} catch (RuntimeException $error) {
    fwrite(STDERR, "error: {$error->getMessage()}\n");
    exit(1);
}
$connection->close();
