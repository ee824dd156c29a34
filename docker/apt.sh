#!/bin/sh
# Install the Debian packages of a list: apt.sh FILE [build], where `build` takes those for the build too.
set -eu
packages=$(sed 's/#.*//' "$1" | awk -v build="${2:-}" 'NF && ($2 == "" || $2 == build) {print $1}')
[ -n "$packages" ] || exit 0
apt-get update -qq
# shellcheck disable=SC2086 # a word each
apt-get install -qq -y --no-install-recommends $packages
rm -rf /var/lib/apt/lists/*
