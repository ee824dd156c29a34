#!/usr/bin/env bash
# Become HAProxy, which is told whose X-Forwarded-* it may believe: a proxy's that ends TLS in front of it.
# Usage: WEB_BIND=<where the port is published> [TRUSTED_PROXIES=<addresses, networks>] proxy.sh
set -euo pipefail

TRUSTED="127.0.0.1 ${TRUSTED_PROXIES:-}"
TRUSTED=${TRUSTED//,/ }
case ${WEB_BIND:-} in
127.* | localhost:* | '[::1]:'*)
  # Published on loopback, only this host gets here, and Docker shows it as the gateway. The kernel writes its address
  # as one hexadecimal number, with the last byte first.
  while read -r _ destination gateway _; do
    if [ "$destination" = 00000000 ] && [ "$gateway" != 00000000 ]; then
      TRUSTED+=" $((16#${gateway:6:2})).$((16#${gateway:4:2})).$((16#${gateway:2:2})).$((16#${gateway:0:2}))"
    fi
  done </proc/net/route
  ;;
esac
export TRUSTED
exec haproxy -db -f /etc/haproxy/haproxy.cfg
