# What the tools share; sourced from the root of the tree.

cache=${RECLAIM_CACHE:-$HOME/.cache/reclaim/bazel}
mkdir -p "$cache"
options=(--disk_cache="$cache" --noshow_progress)
# Debian's Python has the packages that tools/setup installs.
python=/usr/bin/python3

# stage WORDS...: says what begins, and how long what was before it took.
stage_begin=$SECONDS
stage() {
  local now=$SECONDS
  if [[ -n ${stage_name-} ]]; then
    stage_times+=("$(printf '%5ds  %s' $((now - stage_begin)) "$stage_name")")
  fi
  stage_begin=$now
  stage_name=$*
  if [[ -n $stage_name ]]; then echo "== $stage_name"; fi
}
