#!/usr/bin/env bash
# Builds both images, starts compose.yaml under a name of its own, calls tools through the weir as a real MCP client, and looks for the
# rows in that Postgres. Needs docker or podman with compose (COMPOSE names another command); PYTHON has the package `mcp`.
set -euo pipefail
cd "$(dirname "$0")/.."
read -ra compose <<<"${COMPOSE:-$(command -v docker >/dev/null && echo docker compose || echo podman compose)}"
export POSTGRES_PASSWORD=check-$RANDOM$RANDOM WEIR_ADMIN_TOKEN=check-$RANDOM$RANDOM WEIR_PORT=${WEIR_PORT:-18052}
compose+=(--project-name mcp-weir-check)

finish() {
  code=$?
  [ $code -eq 0 ] || "${compose[@]}" logs --tail 40 || true
  "${compose[@]}" down --volumes >/dev/null 2>&1 || true
  exit $code
}
trap finish EXIT

"${compose[@]}" build
"${compose[@]}" up --detach
"${PYTHON:-python3}" deploy/call.py "http://127.0.0.1:$WEIR_PORT/mcp"

count="SELECT count(*) FROM weir.requests WHERE method = 'tools/call' AND target = 'add' AND outcome = 'ok'"
for _ in $(seq 60); do
  found=$("${compose[@]}" exec -T postgres psql -U weir -d weir -Atc "$count" 2>/dev/null | tr -d '\r' || true)
  [ "$found" = 2 ] && break
  sleep 1
done
[ "$found" = 2 ] || { echo "expected 2 rows of tools/call add, found '$found'"; exit 1; }
"${compose[@]}" exec -T proxy python3 /weir/healthcheck.py
"${compose[@]}" exec -T proxy python3 -c 'import os; assert os.getuid() == 65532, os.getuid()'
started=$SECONDS
"${compose[@]}" stop proxy
echo "ok: 2 calls, 2 rows; healthy; not root; proxy stopped in $((SECONDS - started)) s"
