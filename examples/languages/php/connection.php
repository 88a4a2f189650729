<?php
// What publisher and consumer share: options, connection, and the declaration of the queue.

declare(strict_types=1);

require 'PhpAmqpLib/autoload.php'; // Debian's php-amqplib; with Composer: vendor/autoload.php

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Connection\AbstractConnection;
use PhpAmqpLib\Connection\AMQPConnectionConfig;
use PhpAmqpLib\Connection\AMQPConnectionFactory;

/**
 * --url, --queue and --type; the first two may come from AMQP_URL and AMQP_QUEUE. Where there is a default for `work`, a
 * program with its arguments may follow.
 */
function options(array $defaults = []): array
{
    $given = $defaults;
    $words = array_slice($_SERVER['argv'], 1);
    while (($word = array_shift($words)) !== null) { // getopt would pass over an option that is misspelt
        if (isset($defaults['work']) && $word[0] !== '-') {
            $given['work'] = [$word, ...$words];
            break;
        }
        if (!preg_match('/^--(url|queue|type)(?:=(.*))?$/s', $word, $option) || (!isset($option[2]) && !$words)) {
            fwrite(STDERR, "usage: {$_SERVER['argv'][0]} [--url URL] [--queue QUEUE] [--type TYPE]\n");
            exit(2);
        }
        $given[$option[1]] = $option[2] ?? array_shift($words);
    }
    return [
        'url' => $given['url'] ?? (getenv('AMQP_URL') ?: 'amqp://guest:guest@127.0.0.1:5672/'),
        'queue' => $given['queue'] ?? (getenv('AMQP_QUEUE') ?: 'hooks2'),
        'type' => $given['type'] ?? null,
        'work' => $given['work'] ?? null,
    ];
}

function connect(string $url): AbstractConnection
{
    $parts = parse_url($url);
    $config = new AMQPConnectionConfig();
    $config->setIsSecure($parts['scheme'] === 'amqps');
    $config->setHost($parts['host']);
    $config->setPort($parts['port'] ?? ($config->isSecure() ? 5671 : 5672));
    $config->setUser(rawurldecode($parts['user'] ?? 'guest'));
    $config->setPassword(rawurldecode($parts['pass'] ?? 'guest'));
    $config->setVhost(rawurldecode(substr($parts['path'] ?? '/', 1)) ?: '/');
    return AMQPConnectionFactory::create($config);
}

/**
 * Whoever comes first makes the queue; for all others this only says that they mean the same one. Every program
 * that uses the queue must name these same parameters: with any other the broker answers 406 PRECONDITION_FAILED.
 */
function declareQueue(AMQPChannel $channel, string $queue): void
{
    $passive = false;
    $durable = true;
    $exclusive = false;
    $autoDelete = false;
    $nowait = false;
    $arguments = [];
    $channel->queue_declare($queue, $passive, $durable, $exclusive, $autoDelete, $nowait, $arguments);
}
