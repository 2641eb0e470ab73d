// The check of the LLVM that is loaded.
#include "codegen/llvm/llvm_version.h"

#include "catch.h"

using namespace weft::codegen;

TEST_CASE("an LLVM that weft was not built with is named") {
  const std::string file = "/lib/libLLVM.so.19.1";
  CHECK(llvm_problem({19, 1, 7}, {19, 1, 7}, {file, file, file}).empty());
  CHECK(llvm_problem({19, 1, 7}, {19, 1, 2}, {file, file, file}).empty());
  for (const LlvmVersion other : {LlvmVersion{20, 1, 0}, LlvmVersion{19, 2, 0}, LlvmVersion{18, 1, 7}})
    CHECK(llvm_problem({19, 1, 7}, other, {"/x/libLLVM.so", "/x/libLLVM.so"})
              .starts_with("weft was built with LLVM 19.1.7, and this program has given it LLVM " +
                           std::to_string(other.major)));
  const std::string two = llvm_problem({19, 1, 7}, {19, 1, 7}, {file, "/lib/libLLVM-14.so.1", file});
  CHECK(two.find(file + " and /lib/libLLVM-14.so.1") != two.npos);
  CHECK(two.find("WEFT_SHARED") != two.npos);
  CHECK_NOTHROW(LlvmUse());
}
