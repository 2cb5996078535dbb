#!/bin/sh
# deploy/install.sh VENV WHAT...: installs into a virtual environment, which is made where it is missing.
# uv does in 5 s what pip does in 40 (and a venv with pip in it takes another 6). Where uv cannot be had, or fails (an
# index that only pip is told of), pip does it: Python is all that has to be there.
set -eu
venv=$1; shift
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "Python 3.11 or newer is needed, $("$python" --version) is not: make PYTHON=python3.12 ..." >&2
  exit 1
}
[ -x "$venv/bin/python" ] || "$python" -m venv --without-pip "$venv"

pip() {
  "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null
  "$venv/bin/python" -m pip install -q --disable-pip-version-check "$@"
}

find_uv() {
  for uv in "$venv/bin/uv" "$(command -v uv || true)"; do
    [ -x "$uv" ] && return
  done
  uv=$venv/bin/uv
  "$python" -m pip --python "$venv/bin/python" install -q --disable-pip-version-check uv >/dev/null 2>&1 \
    || pip uv >/dev/null 2>&1
}

[ -z "${PIP_INDEX_URL:-}" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"
[ -z "${PIP_CERT:-}" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"
if find_uv && "$uv" pip install -q --compile-bytecode --python "$venv/bin/python" "$@"; then exit; fi
echo "uv could not install it: pip does, which takes longer" >&2
pip "$@"
