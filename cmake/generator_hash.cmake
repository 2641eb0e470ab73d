# Run at build time: writes OUT, a source file with one hash of all FILES (separated by "|", relative to ROOT): sources
# that determine what the code generator emits. A weft built from others finds none of this one's cached objects.
string(REPLACE "|" ";" files "${FILES}")
set(all "")
foreach(file ${files})
  file(SHA256 ${ROOT}/${file} hash)
  string(APPEND all "${file} ${hash}\n")
endforeach()
string(SHA256 hash "${all}")
file(CONFIGURE OUTPUT ${OUT} CONTENT "// From cmake/generator_hash.cmake: the hash of the code generator's sources.
#include \"codegen/cache/identity.h\"
const char* const weft::codegen::kGeneratorHash = \"${hash}\";
")
