#!/usr/bin/env bash
# Sets Doorward up inside this checkout, as an ordinary user, then runs it.
# Looks before it writes: what the machine lacks is named in one apt line, exit code 3, and nothing has been touched.
set -euo pipefail

unset CDPATH
caller=$PWD
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
venv="$root/.venv"
stamps="$venv/doorward"
state="$root/.doorward"
cache="${DOORWARD_CACHE:-${XDG_CACHE_HOME:-${HOME:-$root}/.cache}/doorward}"
[ "${cache#/}" != "$cache" ] || cache="$caller/$cache"
case "${DOORWARD_PYTHON:-}" in
  /*) ;;
  */*) DOORWARD_PYTHON="$caller/$DOORWARD_PYTHON" ;;
esac
locks="$root/config/lock"

# Python looks for modules where it is called: whatever lies in the caller's folder (a downloaded glob.py) must not run.
cd -- "$root"

# What a complete set-up takes, measured on Debian 12 x86-64 and rounded up: environment, state and pack here; wheels and archives there.
checkout_mb=1250
cache_mb=500

usage() {
  cat <<END
usage: ./install.sh demo [ARGS]    set up, then: doorward demo [ARGS]
       ./install.sh test [ARGS]    set up, then the test suite: pytest [ARGS]
       ./install.sh setup          set up only; the commands are then in .venv/bin
       ./install.sh setup --bench  and what 'doorward bench' compares with (another 100 MB)

Everything is written below this checkout, except downloads, which are kept in
  $cache   (DOORWARD_CACHE names another folder)
An index or mirror other than pip's own is chosen as always with pip: PIP_INDEX_URL or pip.conf.
DOORWARD_PYTHON names the Python to use (3.10 to 3.13), otherwise python3 or the newest python3.x is taken.
Exit codes: 2 wrong call, 3 something is missing (said in full), otherwise that of the command.
END
}

say() { printf '%s\n' "$*" >&2; }

wrong_call() {
  say "$1"
  usage >&2
  exit 2
}

# ---- What is there: nothing in this part writes ---------------------------------------------------------------------------------------

find_python() {
  local candidate
  local -a candidates=(python3 python3.13 python3.12 python3.11 python3.10)
  [ -z "${DOORWARD_PYTHON:-}" ] || candidates=("$DOORWARD_PYTHON")
  for candidate in "${candidates[@]}"; do
    if "$candidate" -Ic 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
      printf '%s' "$candidate"
      return
    fi
  done
}

# One line each: lock name, C library, its version, the pip that ensurepip carries (empty lines for what is not there).
python_facts() {
  "$1" -I -B - <<'END'
import glob, importlib.util, os, platform, sys, sysconfig
machine = sysconfig.get_platform().rpartition("-")[2]
print("cp%d%d-%s" % (*sys.version_info[:2], machine))
print(*platform.libc_ver(), sep="\n")
pip = []
if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
    import ensurepip
    folders = [os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"), sysconfig.get_config_var("WHEEL_PKG_DIR")]
    pip = [wheel for folder in folders if folder for wheel in glob.glob(os.path.join(folder, "pip-*.whl"))]
print(pip[0] if pip else "")
END
}

existing_parent() {
  local folder=$1
  while [ ! -e "$folder" ]; do folder=$(dirname -- "$folder"); done
  printf '%s' "$folder"
}

free_mb() { df -Pk -- "$1" | awk 'NR == 2 { print int($4 / 1024) }'; }
disk_of() { df -Pk -- "$1" | awk 'NR == 2 { print $6 }'; }

check_folder() { # FOLDER NEEDED_MB: prints what is wrong with it
  local folder
  folder=$(existing_parent "$1")
  if [ ! -d "$folder" ]; then
    echo "$1 cannot be made: $folder is not a folder"
  elif [ ! -w "$folder" ]; then
    echo "$1 cannot be written by $(id -un)"
  elif [ "$(free_mb "$folder")" -lt "$2" ]; then
    echo "$(disk_of "$folder") has $(free_mb "$folder") MB free, $2 MB are needed for $1"
  fi
}

# LINES OF WHAT IS WRONG [APT PACKAGES]: says them, if there are any, and ends.
refuse() {
  local problem
  [ -n "$1" ] || return 0
  say "Doorward cannot be set up on this machine yet:"
  while IFS= read -r problem; do say "  - $problem"; done <<<"$1"
  [ -z "${2:-}" ] || say "sudo apt install $2"
  say "Nothing has been written."
  exit 3
}

# Of a set-up that is complete: that its folders can still be written. Quick, and asks nobody.
probe_folders() {
  local folder problem hint=""
  local -a wrong=()
  for folder in "$root" "$venv" "$state" "$cache" "$cache/tmp"; do
    [ "$folder" != "$cache" ] || hint=" (DOORWARD_CACHE names another folder)"
    problem=$(check_folder "$folder" 0)
    [ -z "$problem" ] || wrong+=("$problem$hint")
  done
  refuse "$(printf '%s\n' "${wrong[@]}")"
}

probe() {
  local -a apt=() wrong=() facts=()
  local problem answer
  python=$(find_python)
  if [ -z "$python" ]; then
    apt+=(python3 python3-venv)
    wrong+=("no Python 3.10 to 3.13 (${DOORWARD_PYTHON:-python3} is $("${DOORWARD_PYTHON:-python3}" --version 2>/dev/null || echo absent)); Debian 12, Ubuntu 22.04 and 24.04, Pi OS 12 and newer carry one")
  else
    mapfile -t facts < <(python_facts "$python")
    lock="${facts[0]}"
    if [ -z "${facts[3]}" ]; then
      apt+=("$(basename -- "$python")-venv")
      wrong+=("$python has no venv and ensurepip")
    fi
    if [ ! -f "$locks/$lock.txt" ]; then
      wrong+=("no lock for $lock: 64-bit Linux on x86-64 or aarch64 is needed (a 32-bit Pi OS is not enough)")
    else
      problem=$(sed -n '1s/.*glibc >= //p' "$locks/$lock.txt")
      if [ "${facts[1]}" != glibc ] || [ "$(printf '%s\n' "$problem" "${facts[2]}" | sort -V | head -n 1)" != "$problem" ]; then
        wrong+=("glibc $problem or newer is needed, this system has ${facts[1]:-another C library} ${facts[2]}")
      fi
    fi
  fi
  if [ "$(disk_of "$(existing_parent "$cache")")" = "$(disk_of "$root")" ]; then
    problem=$(check_folder "$root" $((checkout_mb + cache_mb)))
  else
    problem=$(check_folder "$root" "$checkout_mb")
  fi
  [ -z "$problem" ] || wrong+=("$problem")
  problem=$(check_folder "$cache" "$cache_mb")
  [ -z "$problem" ] || wrong+=("$problem (DOORWARD_CACHE names another folder)")
  if [ -n "${facts[3]:-}" ] && [ -f "$locks/$lock.txt" ] && [ -n "$(lacking "$locks/pip.txt")$(lacking "$locks/$lock.txt")" ]; then
    if ! answer=$(PYTHONPATH="${facts[3]}" "$python" -B -m pip --no-cache-dir --disable-pip-version-check --no-input \
      --timeout 15 --retries 1 index versions numpy 2>&1 >/dev/null); then
      wrong+=("pip reaches no package index (network? proxy? PIP_INDEX_URL?): $(grep -v '^WARNING: pip index' <<<"$answer" | tail -n 1)")
    fi
  fi
  refuse "$(printf '%s\n' "${wrong[@]}")" "${apt[*]}"
}

# ---- Set-up: each step is stamped when it is complete, so that the next run passes it by --------------------------------------------

digest() { cat -- "$@" | sha256sum | cut -d ' ' -f 1; }
stamped() { [ -n "$2" ] && [ "$(cat -- "$stamps/$1" 2>/dev/null)" = "$2" ]; }
stamp() { mkdir -p -- "$stamps" && printf '%s\n' "$2" >"$stamps/$1"; }

# Of this environment, if it is one: the lock it belongs to, the Python it runs on, the place it was made for.
environment_key() {
  local made_with
  made_with=$("$venv/bin/python" -Ic 'import sys; print("cp%d%d-" % sys.version_info[:2] + sys.version.split()[0])' 2>/dev/null) || return 0
  lock=$(cat -- "$stamps/lock" 2>/dev/null) || return 0
  [ -f "$locks/$lock.txt" ] || return 0
  printf '%s %s %s' "$(digest "$locks/pip.txt" "$locks/$lock.txt")" "$made_with" "$root"
}

pip() { "$venv/bin/python" -I -m pip "$@"; }

# Lines of a lock whose wheel is not yet in the cache, whole and unaltered.
lacking() {
  grep -v '^#' "$1" | grep -vFf <(sha256sum -- "$cache"/wheels/*.whl 2>/dev/null | cut -c 1-64) || true
}

# Wheels go to the cache a few at a time, so that whatever breaks off costs only those. The time-out is per read, none is for the whole.
fetch_wheels() {
  local -a wanted quiet=()
  local first few=8
  [ -t 2 ] || quiet=(--quiet) # on a terminal pip draws its bars
  mkdir -p -- "$cache/wheels"
  mapfile -t wanted < <(lacking "$1")
  for ((first = 0; first < ${#wanted[@]}; first += few)); do
    say "      $((first + 1)) of ${#wanted[@]} packages to download"
    printf '%s\n' "${wanted[@]:first:few}" >"$cache/tmp/wanted.txt"
    PIP_RESUME_RETRIES=20 pip --no-cache-dir "${quiet[@]}" download --require-hashes --no-deps --only-binary :all: --timeout "${PIP_DEFAULT_TIMEOUT:-30}" \
      --retries 8 --dest "$cache/wheels" -r "$cache/tmp/wanted.txt" >&2
  done
}

install_wheels() {
  fetch_wheels "$1"
  say "      installing $(grep -vc '^#' "$1") of them"
  pip install --quiet --require-hashes --no-deps --no-index --find-links "$cache/wheels" -r "$1" >&2
}

# From source: pinned by hash as well, built with what the lock has put into the environment. The archives that the pack and the
# demo have fetched are taken from the cache.
install_source() {
  pip --no-cache-dir install --require-hashes --no-deps --no-build-isolation --find-links "$cache/archives" \
    --timeout "${PIP_DEFAULT_TIMEOUT:-30}" --retries 8 -r "$1"
}

make_environment() {
  say "[1/4] virtual environment .venv from $lock.txt (about 260 MB in $cache)"
  rm -rf -- "$venv" # an environment that was interrupted cannot be trusted; what was downloaded for it is in the cache
  "$python" -I -m venv "$venv"
  install_wheels "$locks/pip.txt"
  install_wheels "$locks/$lock.txt"
  stamp lock "$lock"
  stamp environment "$(environment_key)"
}

install_project() {
  local key log="$stamps/project.log"
  key=$(digest "$root/pyproject.toml")
  stamped project "$key" && return
  say "[2/4] the commands doorward and doorward-export"
  pip install --no-index --no-deps --no-build-isolation --editable "$root" >"$log" 2>&1 || { cat -- "$log" >&2; exit 1; }
  stamp project "$key"
}

find_compiler() {
  local candidate
  for candidate in c++ g++; do
    if printf '#include <Python.h>\n#include <vector>\nint main() { return 0; }\n' |
      "$candidate" -std=c++11 -fsyntax-only -I"$("$venv/bin/python" -Ic 'import sysconfig; print(sysconfig.get_path("include"))')" -x c++ - 2>/dev/null; then
      printf '%s' "$candidate"
      return
    fi
  done
}

install_ann() {
  local key compiler log="$stamps/hnswlib.log"
  key=$(digest "$locks/ann.txt")
  stamped ann "$key" && return
  compiler=$(find_compiler)
  if [ -z "$compiler" ]; then
    say "[3/4] hnswlib left out, exact search serves (to have it: sudo apt install g++ python3-dev)"
    return
  fi
  say "[3/4] hnswlib, built with $compiler"
  # HNSWLIB_NO_NATIVE: the result must also run on the next machine of this kind
  if HNSWLIB_NO_NATIVE=1 CC="$compiler" CXX="$compiler" install_source "$locks/ann.txt" >"$log" 2>&1; then
    stamp ann "$key"
  else
    say "[3/4] hnswlib could not be built, exact search serves (why: $log)"
  fi
}

install_bench() {
  local key
  key=$(digest "$locks/bench.txt")
  stamped bench "$key" && return
  say "[+] face_recognition, to be compared with"
  install_source "$locks/bench.txt" >&2
  stamp bench "$key"
}

set_up() {
  if stamped environment "$(environment_key)"; then
    probe_folders
  else
    probe
  fi
  mkdir -p -- "$cache/tmp"
  exec 9>"$root/.setup.lock"
  flock --nonblock 9 || { say "another set-up of this checkout is running: waiting for it"; flock 9; }
  stamped environment "$(environment_key)" || make_environment
  install_project
  install_ann
  say "[4/4] model pack"
  "$venv/bin/doorward-export" build --target onnxruntime --pack door --state "$state" >&2
  [ "$1" != --bench ] || install_bench
  exec 9>&-
}

# ---- The verbs ----------------------------------------------------------------------------------------------------------------------

verb=${1:---help}
shift || true
case "$verb" in
  demo | test) ;;
  setup) [ $# = 0 ] || [ "$*" = --bench ] || wrong_call "setup does not know: $*" ;;
  --help | -h) usage; exit 0 ;;
  *) wrong_call "there is no verb: $verb" ;;
esac

export DOORWARD_CACHE="$cache" DOORWARD_STATE="$state" TMPDIR="$cache/tmp" PIP_CACHE_DIR="$cache/pip" PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_USER=0
unset PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV

case "$verb" in
  setup)
    set_up "${1:-}"
    say "set up: .venv/bin/doorward"
    ;;
  demo)
    set_up ""
    "$venv/bin/doorward-export" photos >&2
    cd -- "$caller" # ARGS may name files there; a console script looks for modules beside itself only
    exec "$venv/bin/doorward" demo "$@"
    ;;
  test)
    set_up ""
    # a short folder of its own: the path of a Unix socket has room for 107 bytes
    # Two workers, one file each at a time: half the time, and each takes up to 1 GB. Later arguments override these.
    exec "$venv/bin/python" -m pytest --basetemp="$root/.tmp" --numprocesses 2 --dist loadfile "$@"
    ;;
esac
