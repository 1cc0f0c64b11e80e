# Sourced: where uv finds the CPU build of torch, as options in the array torch_source.
# shellcheck shell=bash disable=SC2034
if compgen -G "${PIP_FIND_LINKS:-}/torch-*+cpu-*.whl" >/dev/null; then
    torch_source=(--find-links "$PIP_FIND_LINKS") # uv does not read pip's variable by itself
else
    torch_source=(--torch-backend cpu)
fi
