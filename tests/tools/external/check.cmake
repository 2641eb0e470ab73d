# Installs weft into an empty prefix, builds the external project against it and runs it and the installed command.
# cmake -DWEFT_BUILD=… -DSOURCE=… -DWORK=… -DCXX=… -P check.cmake
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${ARGN}\nfailed (${code}):\n${out}\n${err}")
  endif()
  set(out "${out}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${WEFT_BUILD} --prefix ${WORK}/prefix)
run(${CMAKE_COMMAND} -S ${SOURCE} -B ${WORK}/build -G Ninja -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_PREFIX_PATH=${WORK}/prefix
  -DCMAKE_BUILD_TYPE=Release)
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/uses_weft)
if(NOT out MATCHES "loss fell")
  message(FATAL_ERROR "the external program printed:\n${out}")
endif()
run(${WORK}/prefix/bin/weft --version)
file(REMOVE_RECURSE ${WORK})
