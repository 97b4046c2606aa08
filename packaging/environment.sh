# What every package is built with. Sourced by the scripts beside it, from the root of the repository, with a profile of Cargo: `release`,
# or `dev` to pack a debug build for tests.
profile=${1:-release}
# Flags of compilers are split at spaces.
case $PWD in *" "*) echo "packages can't be built in a folder whose path has a space: $PWD" >&2; exit 1 ;; esac
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
released=$(sed -n "s/^## \[$version\] - //p" CHANGELOG.md)
[ -n "$released" ] || { echo "CHANGELOG.md has no entry for $version: add one with its date" >&2; exit 1; }

# The same sources give the same bytes, wherever they lie and whenever they are built: the time is that of the release, and the paths
# of this machine stay out of the program.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(date -u -d "$released" +%s)}
if [ "$profile" = release ]; then
  cargo_home=${CARGO_HOME:-$HOME/.cargo}
  export RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$PWD=/contactsync --remap-path-prefix=$cargo_home=/cargo"
  export CFLAGS="${CFLAGS:-} -ffile-prefix-map=$PWD=/contactsync -ffile-prefix-map=$cargo_home=/cargo"
  # Other flags build everything anew: kept apart from what is built without them.
  export CARGO_TARGET_DIR=$PWD/target/packages
else
  export CARGO_TARGET_DIR=$PWD/target
fi
built=$CARGO_TARGET_DIR/${profile/#dev/debug}
