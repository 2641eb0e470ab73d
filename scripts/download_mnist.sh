#!/usr/bin/env bash
# Downloads MNIST's four files into DIR (default: data) from its public mirrors, as .gz, and checks what is in them.
# Usage: scripts/download_mnist.sh [DIR]
# Files that are there and right, plain or .gz, are kept. The environment's WEFT_MNIST_MIRRORS (URLs of directories,
# separated by spaces) replaces the mirrors.
set -euo pipefail

case "${1:-}" in -h | --help) sed -n '2,5s/^# //p' "$0"; exit 0 ;; esac
dir=${1:-data}
default_mirrors="https://ossci-datasets.s3.amazonaws.com/mnist https://storage.googleapis.com/cvdf-datasets/mnist"
read -ra mirrors <<<"${WEFT_MNIST_MIRRORS:-$default_mirrors}"

# SHA-256 of the uncompressed files: gzip's own bytes differ from mirror to mirror.
sums="\
ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db train-images-idx3-ubyte
65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5 train-labels-idx1-ubyte
0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7 t10k-images-idx3-ubyte
ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2 t10k-labels-idx1-ubyte"

die() { echo "download_mnist: $*" >&2; exit 1; }
for tool in curl gzip sha256sum; do command -v "$tool" >/dev/null || die "needs $tool; please install it"; done

# content_is SUM FILE: whether FILE, uncompressed where its name ends in .gz, has that sum.
content_is() {
  local reader=(cat)
  case "$2" in *.gz | *.part) reader=(gzip -dc) ;; esac
  [ "$("${reader[@]}" "$2" 2>/dev/null | sha256sum | cut -d' ' -f1)" = "$1" ]
}

# fetch SUM NAME: downloads from the first mirror that has the right content.
fetch() {
  local part="$dir/$2.gz.part" mirror
  for mirror in "${mirrors[@]}"; do
    if ! curl --fail --silent --show-error --location --retry 2 --connect-timeout 20 -o "$part" "$mirror/$2.gz"; then
      echo "download_mnist: cannot get $mirror/$2.gz" >&2
    elif ! content_is "$1" "$part"; then
      echo "download_mnist: $mirror/$2.gz is not the file expected (its SHA-256 differs)" >&2
    else
      mv -f "$part" "$dir/$2.gz"
      echo "$dir/$2.gz: downloaded from $mirror"
      return
    fi
  done
  die "no mirror has $2.gz (tried ${mirrors[*]})"
}

mkdir -p "$dir" || die "cannot create the directory $dir"
[ -w "$dir" ] || die "cannot write to the directory $dir"
trap 'rm -f "$dir"/*-ubyte.gz.part' EXIT
while read -r sum name; do
  # A plain file is read before a .gz, so a wrong one would hide the right download.
  if [ -f "$dir/$name" ]; then
    content_is "$sum" "$dir/$name" || die "$dir/$name is not MNIST's (its SHA-256 differs); move it away and run again"
    echo "$dir/$name: already there"
  elif [ -f "$dir/$name.gz" ] && content_is "$sum" "$dir/$name.gz"; then
    echo "$dir/$name.gz: already there"
  else
    fetch "$sum" "$name"
  fi
done <<<"$sums"
