# Which compilers have the C++20 that weft's headers use (std::source_location in default arguments, concepts). Sets
# weft_compiler_problem to one line that says what is needed, or to "". Read by weft's build and by its users' builds.
set(weft_compiler_problem "")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(weft_oldest_compiler 12)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  set(weft_oldest_compiler 16)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "AppleClang")
  set(weft_oldest_compiler 15)
else()
  set(weft_oldest_compiler 0)
endif()
if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS weft_oldest_compiler)
  set(weft_compiler_problem
    "weft needs a C++20 compiler, GCC 12 or Clang 16 or newer; this is ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} (${CMAKE_CXX_COMPILER})")
endif()
unset(weft_oldest_compiler)
