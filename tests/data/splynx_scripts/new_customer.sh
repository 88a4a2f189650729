#!/bin/bash
# The same for people who prefer a shell.

read -r line || exit 1
name=$(jq -r .attributes.name <<<"$line")
model=$(jq -r .model <<<"$line")

sendmail -t <<END
To: admin@example.net
Subject: $(jq -r '.action + " by " + .source' <<<"$line")
From: splynx@example.net

$model: $name
END
