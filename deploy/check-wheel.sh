#!/usr/bin/env bash
# Builds the wheel, installs it with the extra `embedded` into an environment of its own, and lets it play the demo there.
set -euo pipefail
cd "$(dirname "$0")/.."
rm -rf dist
deploy/install.sh "${VENV:-.venv}" pip
"${VENV:-.venv}/bin/pip" wheel -q --disable-pip-version-check --no-deps --wheel-dir dist .
wheel=$(ls "$PWD"/dist/mcp_weir-*.whl)
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
"${PYTHON:-python3}" -m venv "$empty/venv"
"$empty/venv/bin/pip" install -q --disable-pip-version-check "$wheel[embedded]"
cd "$empty" # nothing of the source tree is in reach
"$empty/venv/bin/mcp-weir" demo --once --json
echo "ok: $(basename "$wheel") is enough"
