# Tools at fixed versions, under target/tools: each function installs what is missing and prints the path. Sourced, from the root of
# the repository. Where a tool can't be had they fail.

# wheel_tool COMMAND PACKAGE VERSION: from a Python wheel.
wheel_tool() {
  local at=$PWD/target/tools/$2-$3
  [ -x "$at/bin/$1" ] || { python3 -m venv "$at" && "$at/bin/pip" install --quiet "$2==$3" >&2; } || return 1
  echo "$at/bin/$1"
}

# cargo_tool COMMAND VERSION: built from source.
cargo_tool() {
  local at=$PWD/target/tools/$1-$2
  [ -x "$at/bin/$1" ] ||
    env -u RUSTFLAGS -u CFLAGS -u CARGO_TARGET_DIR cargo install --quiet --locked --root "$at" --version "$2" "$1" >&2 || return 1
  echo "$at/bin/$1"
}
