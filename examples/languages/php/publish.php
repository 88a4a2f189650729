#!/usr/bin/php
<?php
// Publishes standard input, byte for byte, as one message:
//
//     php publish.php --queue hooks2 --type customer.created <event.json

declare(strict_types=1);

require __DIR__ . '/connection.php';

use PhpAmqpLib\Message\AMQPMessage;

$options = options();
$body = stream_get_contents(STDIN);
$connection = connect($options['url']);
$channel = $connection->channel();
declareQueue($channel, $options['queue']);

// Without this nobody would tell us whether the broker has the message.
$channel->confirm_select();
$channel->set_nack_handler(fn () => throw new RuntimeException('the broker refused the message'));
$channel->set_return_listener(fn () => throw new RuntimeException('no queue took the message'));

$message = new AMQPMessage($body, array_filter([
    'delivery_mode' => AMQPMessage::DELIVERY_MODE_PERSISTENT, // it survives a restart of the broker
    'content_type' => 'application/json',
    'message_id' => bin2hex(random_bytes(16)), // by it a receiver knows what it has seen before
    'type' => $options['type'], // what patterns of hooks are compared with, for bodies of no known format
]));
$exchange = ''; // the default exchange: the routing key is the name of a queue
$mandatory = true; // do not drop it silently if there is no such queue
$channel->basic_publish($message, $exchange, $options['queue'], $mandatory);
$channel->wait_for_pending_acks_returns(10);

$connection->close();
fwrite(STDERR, 'published ' . strlen($body) . " bytes to {$options['queue']}, confirmed\n");
