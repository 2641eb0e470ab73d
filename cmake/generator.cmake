# The identity of the code generator, for the keys of the object cache: a hash of its sources, made whenever they change.
file(GLOB_RECURSE generator_sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
  codegen/*.cpp codegen/*.h ir/*.cpp ir/*.h ir/*.def)
set(generator_hash ${PROJECT_BINARY_DIR}/generator_hash.cpp)
list(JOIN generator_sources "|" files)
list(TRANSFORM generator_sources PREPEND ${PROJECT_SOURCE_DIR}/ OUTPUT_VARIABLE depends)
add_custom_command(OUTPUT ${generator_hash} VERBATIM
  COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR} "-DFILES=${files}" -DOUT=${generator_hash}
          -P ${PROJECT_SOURCE_DIR}/cmake/generator_hash.cmake
  DEPENDS ${depends} ${PROJECT_SOURCE_DIR}/cmake/generator_hash.cmake COMMENT "Hashing the code generator's sources")
target_sources(weft_codegen PRIVATE ${generator_hash})
