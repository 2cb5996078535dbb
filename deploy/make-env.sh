#!/usr/bin/env bash
# Writes .env with fresh secrets for compose.yaml, once; an existing one is left as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -e .env ] && { echo ".env exists; left as it is"; exit 0; }
umask 077
random() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
printf 'POSTGRES_PASSWORD=%s\nWEIR_ADMIN_TOKEN=%s\n' "$(random)" "$(random)" >.env
echo "wrote .env"
