# LLVM for codegen/, the only folder that sees it: the target weft_llvm. It is asked of LLVM's llvm-config, and not of
# find_package(LLVM), whose variables and targets belong to the whole project: a host that uses another LLVM for itself,
# before or after, is neither disturbed nor asked. -DWEFT_LLVM_CONFIG=… names the llvm-config of one LLVM.
find_program(WEFT_LLVM_CONFIG NAMES llvm-config-19 llvm-config-20 llvm-config-21 llvm-config NAMES_PER_DIR
  HINTS /usr/lib/llvm-19/bin /usr/lib/llvm-20/bin /usr/lib/llvm-21/bin
  DOC "llvm-config of the LLVM that weft generates code with")
if(NOT WEFT_LLVM_CONFIG)
  message(FATAL_ERROR "weft needs LLVM >= 19.1, found no llvm-config; scripts/setup.sh installs it, -DWEFT_LLVM_CONFIG=… names it")
endif()

# weft_ask_llvm(VARIABLE options…): what llvm-config says.
function(weft_ask_llvm variable)
  execute_process(COMMAND ${WEFT_LLVM_CONFIG} ${ARGN} OUTPUT_VARIABLE answer OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE failed ERROR_VARIABLE why)
  if(failed)
    message(FATAL_ERROR "${WEFT_LLVM_CONFIG} ${ARGN} failed: ${why}")
  endif()
  set(${variable} "${answer}" PARENT_SCOPE)
endfunction()

weft_ask_llvm(weft_llvm_version --version)
if(weft_llvm_version VERSION_LESS 19.1)
  message(FATAL_ERROR "weft needs LLVM >= 19.1, found ${weft_llvm_version} (${WEFT_LLVM_CONFIG}); scripts/setup.sh installs it")
endif()
weft_ask_llvm(weft_llvm_include --includedir)
weft_ask_llvm(weft_llvm_folder --libdir)
if(WEFT_STATIC_LLVM)
  set(components core linker orcjit passes x86codegen x86asmparser x86disassembler nvptxcodegen)
  weft_ask_llvm(weft_llvm_libraries --link-static --libfiles ${components})
  separate_arguments(weft_llvm_libraries UNIX_COMMAND "${weft_llvm_libraries}")
  weft_ask_llvm(system_libraries --link-static --system-libs ${components})
  string(REGEX MATCHALL "z3|zstd|z( |$)" compression "${system_libraries}")  # what LLVMSupport was built with
  list(TRANSFORM compression STRIP)
  weft_archives(system_libraries ${compression})
  list(APPEND system_libraries rt dl m)
else()
  # By its full name: the library's name changes with every release, and so does its C++ interface.
  string(REGEX MATCH "^[0-9]+\\.[0-9]+" soversion ${weft_llvm_version})
  find_library(WEFT_LLVM_LIBRARY NAMES libLLVM.so.${soversion} libLLVM-${soversion}.so LLVM
    HINTS ${weft_llvm_folder} DOC "LLVM's shared library")
  if(NOT WEFT_LLVM_LIBRARY)
    message(FATAL_ERROR "weft found no shared library of LLVM ${weft_llvm_version} in ${weft_llvm_folder}; -DWEFT_STATIC_LLVM=ON links its archives")
  endif()
  set(weft_llvm_libraries ${WEFT_LLVM_LIBRARY})
  set(system_libraries)
endif()
message(STATUS "LLVM ${weft_llvm_version} in ${weft_llvm_folder}")

# The same name in weft's build and where weft is installed (weftConfig.cmake defines it there).
add_library(weft::llvm INTERFACE IMPORTED GLOBAL)
target_link_libraries(weft::llvm INTERFACE ${weft_llvm_libraries} ${system_libraries})
target_include_directories(weft_codegen SYSTEM PRIVATE ${weft_llvm_include})
target_link_libraries(weft_codegen PRIVATE weft::llvm)
target_compile_definitions(weft_codegen PRIVATE $<$<BOOL:${WEFT_STATIC_LLVM}>:WEFT_STATIC_LLVM>)
# What LLVM's headers instantiate in codegen/ is codegen/'s alone: exported, it would be taken for the like-named
# functions of another LLVM in the process, or those for it.
set_target_properties(weft_codegen PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
