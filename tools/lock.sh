#!/usr/bin/env bash
# Renew the locks of constraints/: every distribution, the default models and the development
# tools, with hashes, for Linux on x86-64.
#
# tools/lock.sh --no-upgrade changes only what the pyproject files ask for.
set -euo pipefail
cd "$(dirname "$0")/.."
upgrade=--upgrade
[[ ${1:-} == --no-upgrade ]] && upgrade=

compile() { # OUTPUT ARGUMENT...
    .venv/bin/uv pip compile --quiet $upgrade --generate-hashes --no-annotate \
        --python-version 3.11 --custom-compile-command "make lock" --output-file "$@"
}

compile_mesh() { # TARGET ARGUMENT...
    local target=$1 output=constraints/$1.txt
    echo "==> $output"
    compile "$output" --python-platform x86_64-manylinux_2_28 \
        --overrides constraints/overrides.txt --no-emit-package groundmesh \
        --group dev --group examples --group models \
        --extra artifacts --extra eval --extra lite --extra postgres --extra "$target" "${@:2}" \
        pyproject.toml services/*/pyproject.toml
    # The CPU build of torch comes from a folder of wheels here and from PyTorch's own index there,
    # and these need not be the same file: its version is pinned, its hash is not.
    sed -i '/^torch==.*+cpu/,/[^\\]$/ { /--hash/d; s/ \\$// }' "$output"
}

source tools/torch_source.sh
compile_mesh cpu "${torch_source[@]}"
compile_mesh cuda
echo "==> constraints/protoc.txt"
compile constraints/protoc.txt constraints/protoc.in
