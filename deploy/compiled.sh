#!/usr/bin/env bash
# Builds the wheel whose hot path is compiled by mypyc (for this platform and this Python; needs a C compiler) into dist/, and
# installs it with what tests need into an environment of its own, .compiled.
set -euo pipefail
cd "$(dirname "$0")/.."
rm -f dist/mcp_weir-*-cp*.whl
HATCH_BUILD_HOOKS_ENABLE=true "${VENV:-.venv}/bin/python" -m pip wheel -q --disable-pip-version-check --no-deps --wheel-dir dist .
wheel=$(ls "$PWD"/dist/mcp_weir-*-cp*.whl)
deploy/install.sh .compiled "$wheel[embedded,dev]" pip
# the version has not changed, and an installer may think that it has it already
.compiled/bin/python -m pip install -q --disable-pip-version-check --no-deps --force-reinstall "$wheel"
.compiled/bin/mcp-weir --version | grep compiled
