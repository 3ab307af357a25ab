# SPDX-License-Identifier: MIT
# The program, the examples and the benchmarks: all linked with liblinnet.a.

# All but main.c stands in an archive, for the unit tests of option parsing and the like.
file(GLOB CLI_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cli/*.c)
set(CLI_MAIN ${PROJECT_SOURCE_DIR}/src/cli/main.c)
if(CLI_MAIN IN_LIST CLI_SOURCES)
  list(REMOVE_ITEM CLI_SOURCES ${CLI_MAIN})
  set(SCRIPTS linnet.js reload.js)
  list(TRANSFORM SCRIPTS PREPEND ${PROJECT_SOURCE_DIR}/clients/js/ OUTPUT_VARIABLE SCRIPT_FILES)
  list(JOIN SCRIPTS "," SCRIPT_NAMES)
  set(SCRIPTS_C ${PROJECT_BINARY_DIR}/scripts.c)
  add_custom_command(OUTPUT ${SCRIPTS_C} DEPENDS ${SCRIPT_FILES} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
                     COMMAND ${CMAKE_COMMAND} -DFROM=${PROJECT_SOURCE_DIR}/clients/js -DNAMES=${SCRIPT_NAMES} -DTO=${SCRIPTS_C}
                             -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake)
  add_library(linnet_cli STATIC ${CLI_SOURCES} ${SCRIPTS_C})
  target_include_directories(linnet_cli PUBLIC src)
  target_compile_options(linnet_cli PRIVATE ${LTO_COMPILE_FLAGS})
  target_link_libraries(linnet_cli PUBLIC linnet_static m)
  if(LIBEDIT_FOUND)
    target_link_libraries(linnet_cli PUBLIC PkgConfig::LIBEDIT)
    target_compile_definitions(linnet_cli PRIVATE LN_HAS_EDIT=1)
  endif()

  add_executable(linnet ${CLI_MAIN})
  target_compile_options(linnet PRIVATE ${LTO_COMPILE_FLAGS})
  target_link_options(linnet PRIVATE ${LTO_LINK_FLAGS})
  target_link_libraries(linnet PRIVATE linnet_cli)
endif()

# examples/chat/server.c is the program chat-server.
file(GLOB EXAMPLE_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/*.c ${PROJECT_SOURCE_DIR}/examples/*/*.c)
foreach(source IN LISTS EXAMPLE_SOURCES)
  file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR}/examples ${source})
  string(REGEX REPLACE "\\.c$" "" name ${name})
  string(REPLACE "/" "-" name ${name})
  add_executable(example_${name} ${source})
  set_target_properties(example_${name} PROPERTIES OUTPUT_NAME ${name}
                                                   RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/examples)
  target_compile_options(example_${name} PRIVATE -Wno-unused-parameter) # handlers shown whole, not trimmed for a warning
  target_link_options(example_${name} PRIVATE ${NO_LTO_LINK_FLAGS})
  target_link_libraries(example_${name} PRIVATE linnet_static)
endforeach()

# Each file of bench/ is a program; what several of them need stands in bench/support/. They may look inside.
add_custom_target(benches)
file(GLOB BENCH_SUPPORT CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/support/*.c)
add_library(bench_support STATIC EXCLUDE_FROM_ALL ${BENCH_SUPPORT})
target_include_directories(bench_support PUBLIC src bench)
target_compile_options(bench_support PRIVATE ${LTO_COMPILE_FLAGS})
target_link_libraries(bench_support PUBLIC linnet_static)
file(GLOB BENCH_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/*.c)
if(NOT LIBURING_FOUND)
  list(FILTER BENCH_SOURCES EXCLUDE REGEX "uring[^/]*\\.c$")
endif()
foreach(source IN LISTS BENCH_SOURCES)
  get_filename_component(name ${source} NAME_WE)
  add_executable(bench_${name} EXCLUDE_FROM_ALL ${source})
  set_target_properties(bench_${name} PROPERTIES OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
  target_compile_options(bench_${name} PRIVATE ${LTO_COMPILE_FLAGS})
  target_link_options(bench_${name} PRIVATE ${LTO_LINK_FLAGS})
  target_link_libraries(bench_${name} PRIVATE bench_support)
  add_dependencies(benches bench_${name})
endforeach()
