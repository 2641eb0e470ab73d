# Installs weft into an empty prefix, builds the projects of this folder against it in every way that a user may, and
# runs them and the installed command.
# cmake -DWEFT_BUILD=… -DWEFT_TREE=… -DWEFT_LLVM=19.1.7 -DSOURCE=… -DWORK=… -DCXX=… -P check.cmake
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${ARGN}\nfailed (${code}):\n${out}\n${err}")
  endif()
  set(out "${out}" PARENT_SCOPE)
endfunction()
function(refuse expected)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(code EQUAL 0 OR NOT err MATCHES "${expected}")
    message(FATAL_ERROR "${ARGN}\nended with ${code}, and was to say \"${expected}\":\n${out}\n${err}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${WEFT_BUILD} --prefix ${WORK}/prefix)

# README's program, word for word.
file(READ ${WEFT_TREE}/README.md readme)
string(FIND "${readme}" "```cpp\n" begin)
math(EXPR begin "${begin} + 7")
string(SUBSTRING "${readme}" ${begin} -1 readme)
string(FIND "${readme}" "```" end)
string(SUBSTRING "${readme}" 0 ${end} readme)
file(WRITE ${WORK}/readme.cpp "${readme}")

# Another LLVM with CMake files, where there is one.
file(GLOB others /usr/lib/llvm-*/lib/cmake/llvm/LLVMConfig.cmake)
string(REGEX MATCH "^[0-9]+" major ${WEFT_LLVM})
list(FILTER others EXCLUDE REGEX "llvm-${major}/")
set(other "")
if(others)
  list(GET others 0 other)
  get_filename_component(other ${other} DIRECTORY)
else()
  message(STATUS "skipped: there are no CMake files of another LLVM (Debian: llvm-14-dev)")
endif()

set(project ${CMAKE_COMMAND} -S ${SOURCE} -G Ninja -DCMAKE_BUILD_TYPE=Release -DREADME_SOURCE=${WORK}/readme.cpp)
set(installed ${project} -DCMAKE_PREFIX_PATH=${WORK}/prefix)

# Installed: built and run. What is the same to the compiler is compiled once.
run(${installed} -B ${WORK}/build -DCMAKE_CXX_COMPILER=${CXX} -DOTHER_LLVM=${other} -DORDER=before)
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/uses_weft)
if(NOT out MATCHES "loss fell")
  message(FATAL_ERROR "the external program printed:\n${out}")
endif()
run(${WORK}/build/own_folders)
if(NOT out STREQUAL "3 4 1\n")
  message(FATAL_ERROR "the program with folders of its own printed:\n${out}")
endif()
run(${WORK}/build/object)
if(NOT out STREQUAL "1\n")
  message(FATAL_ERROR "the program with an object file printed:\n${out}")
endif()
run(${WORK}/prefix/bin/weft --version)
foreach(order after none)
  run(${installed} -B ${WORK}/${order} -DCMAKE_CXX_COMPILER=${CXX} -DOTHER_LLVM=${other} -DORDER=${order})
endforeach()

# Models as object files, in a project without C++, and what the program then needs.
run(${CMAKE_COMMAND} -S ${SOURCE}/objects -G Ninja -B ${WORK}/objects -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH=${WORK}/prefix)
run(${CMAKE_COMMAND} --build ${WORK}/objects)
run(${WORK}/objects/uses_objects)
if(NOT out STREQUAL "loss fell, 16 of 16 right\n")
  message(FATAL_ERROR "the program with objects printed:\n${out}")
endif()
run(ldd ${WORK}/objects/uses_objects)
if(out MATCHES "LLVM|weft|fmt|stdc|libm|pthread")
  message(FATAL_ERROR "the program with objects needs more than C's library:\n${out}")
endif()

# A part of the project: the programs' own files are compiled.
foreach(order before after)
  set(build ${WORK}/tree_${order})
  run(${project} -B ${build} -DCMAKE_CXX_COMPILER=${CXX} -DWEFT_TREE=${WEFT_TREE} -DOTHER_LLVM=${other} -DORDER=${order})
endforeach()
run(${CMAKE_COMMAND} --build ${build} --target CMakeFiles/own_folders.dir/own_folders.cpp.o)

# Too old: one line that says what is needed.
find_program(OLD_CLANG clang++-14)
if(OLD_CLANG)
  string(REPLACE clang++ clang OLD_C ${OLD_CLANG})
  refuse("weft needs a C\\+\\+20 compiler, GCC 12 or Clang 16 or newer" ${installed} -B ${WORK}/old
    -DCMAKE_CXX_COMPILER=${OLD_CLANG} -DCMAKE_C_COMPILER=${OLD_C})
  refuse("error: weft needs C\\+\\+20" ${OLD_CLANG} -std=c++20 -fsyntax-only -I${WORK}/prefix/include ${SOURCE}/main.cpp)
endif()
refuse("error: #error weft needs C\\+\\+20" ${CXX} -std=c++17 -fsyntax-only -I${WORK}/prefix/include ${SOURCE}/main.cpp)
file(REMOVE_RECURSE ${WORK})
