#!/usr/bin/env bash
# check.sh SOURCE PROGRAM [ARGUMENT...]: runs a lesson and looks for the text of each `// prints: TEXT` comment of its source
# in what it prints, in order; `…` in TEXT stands for anything. Fails when a text is missing or the program fails.
set -u
source=$1
shift
output=$("$@" 2>&1)
code=$?
printf '%s\n' "$output"
if [ "$code" -ne 0 ]; then
  echo "check: $1 exited with $code" >&2
  exit 1
fi
rest=$output
count=0
while IFS= read -r text; do
  [ -n "$text" ] || continue
  pattern=
  while [[ $text == *…* ]]; do
    pattern+=$(printf '%q' "${text%%…*}")'*'
    text=${text#*…}
  done
  pattern+=$(printf '%q' "$text")
  # shellcheck disable=SC2053 # the right side is a pattern on purpose
  if [[ $rest != *$pattern* ]]; then
    echo "check: not printed (in this place): $pattern" >&2
    exit 1
  fi
  rest=${rest#*$pattern}
  count=$((count + 1))
done < <(sed -n 's|.*// prints: ||p' "$source")
if [ "$count" -eq 0 ]; then
  echo "check: $source has no '// prints:' comment" >&2
  exit 1
fi
