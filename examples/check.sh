#!/usr/bin/env bash
# check.sh SOURCE PROGRAM [ARGUMENT...]: runs a lesson and looks for the text of each `// prints: TEXT` comment of its source
# in what it prints, in order; `…` in TEXT stands for anything. Fails when a text is missing or the program fails.
set -u
source=$1
shift
rest=$("$@" 2>&1)
code=$?
printf '%s\n' "$rest"
if [ "$code" -ne 0 ]; then
  echo "check: $1 exited with $code" >&2
  exit 1
fi
count=0
while IFS= read -r piece; do
  if [[ $rest != *"$piece"* ]]; then
    echo "check: not printed, or not in this place: $piece" >&2
    exit 1
  fi
  rest=${rest#*"$piece"}
  count=$((count + 1))
done < <(sed -n 's|.*// prints: ||p' "$source" | sed 's/…/\n/g' | sed '/^$/d')
if [ "$count" -eq 0 ]; then
  echo "check: $source has no '// prints: TEXT' comment" >&2
  exit 1
fi
