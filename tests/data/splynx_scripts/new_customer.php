#!/usr/bin/php
<?php
// The kind of script that Splynx's documentation shows: one line of JSON on STDIN, a mail by the local MTA.

$line = fgets(STDIN);
$event = json_decode($line, true);
if ($event === null || $event['result'] !== 'success') {
    fwrite(STDERR, "unexpected data\n");
    exit(1);
}

$to = 'admin@example.net';
$subject = "{$event['action']} by {$event['source']} at {$event['date']} {$event['time']}";
$message = "{$event['model']}: {$event['attributes']['name']} ({$event['attributes']['id']})";
$from = 'splynx@example.net';

$mta = popen('sendmail -t', 'w');
fwrite($mta, "To: $to\nSubject: $subject\nFrom: $from\n\n$message\n");
exit(pclose($mta));
