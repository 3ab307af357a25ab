# SPDX-License-Identifier: MIT
#
# Test programs, registered with CTest; tools/run-tests runs what is registered and counts cases.
#
#   test/unit/NAME_test.c     a cmocka program each; the other .c files there are linked into all of them
#   test/sim/NAME_sim.c       a simulation each; likewise
#   test/fuzz/NAME_fuzz.c     replays every file of test/fuzz/corpus/NAME/, or, WITH_FUZZ, is a libFuzzer program
#
# They are linked with the static library, internals and all, run in the top folder of the sources, and print TAP.

include(CheckLinkerFlag)

add_custom_target(tests)
enable_testing()

set(TEST_ENVIRONMENT CMOCKA_MESSAGE_OUTPUT=TAP)
if(SANITIZE)
  list(APPEND TEST_ENVIRONMENT ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
       UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1)
endif()

# There are many of them, so they are built the quick way: without link-time optimisation, little optimised themselves
# (the library is what it is elsewhere), and by a linker that takes half the time if there is one.
set(TEST_LINK_FLAGS ${NO_LTO_LINK_FLAGS})
check_linker_flag(C -fuse-ld=gold HAS_GOLD)
if(HAS_GOLD AND NOT WITH_FUZZ)
  list(APPEND TEST_LINK_FLAGS -fuse-ld=gold)
endif()

# linnet_test_program(<kind> <name> <files>...): the target KIND_NAME, part of `tests`.
function(linnet_test_program kind name)
  set(target ${kind}_${name})
  add_executable(${target} EXCLUDE_FROM_ALL ${ARGN})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name}
                                             RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test/${kind})
  target_include_directories(${target} PRIVATE src test/unit test/${kind})
  target_compile_definitions(${target} PRIVATE LN_TEST_DIR="${PROJECT_SOURCE_DIR}/test")
  if(TARGET linnet_cli)
    target_link_libraries(${target} PRIVATE linnet_cli)
  endif()
  target_link_libraries(${target} PRIVATE linnet_static)
  if(CMOCKA_FOUND)
    target_link_libraries(${target} PRIVATE PkgConfig::CMOCKA)
  endif()
  target_compile_options(${target} PRIVATE $<$<CONFIG:RelWithDebInfo>:-O1>)
  target_link_options(${target} PRIVATE ${TEST_LINK_FLAGS})
  add_dependencies(tests ${target})
endfunction()

# linnet_register(<test> <seconds> <environment> <command>...): it is ended after <seconds>, which are several times what the
# longest takes on a busy machine.
function(linnet_register test seconds environment)
  if(SANITIZE) # slower by up to this much
    math(EXPR seconds "${seconds} * 5")
  endif()
  add_test(NAME ${test} COMMAND ${ARGN})
  set_tests_properties(${test} PROPERTIES WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} TIMEOUT ${seconds}
                                          ENVIRONMENT "${TEST_ENVIRONMENT};${environment}")
endfunction()

# A program that names a header with a loop behind it runs once per back end, unless it goes through them by itself or
# says that it does not matter: "back end: any".
function(linnet_uses_loop source result)
  file(STRINGS ${source} lines REGEX "#include (\"(net|peer|dialect)/|<linnet/(client|linnet|loop|rooms|server|topic)\\.h)")
  list(FILTER lines EXCLUDE REGEX "net/(address|folder|log|mail|random|thread|timer)\\.h")
  file(STRINGS ${source} choices REGEX "LN_IO_URING|loop_kit\\.h|back end: any")
  if(choices)
    set(lines "")
  endif()
  list(LENGTH lines count)
  set(${result} ${count} PARENT_SCOPE)
endfunction()

function(linnet_cmocka_tests kind suffix seconds)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/test/${kind}/*_${suffix}.c)
  file(GLOB support CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/test/${kind}/*.c)
  list(FILTER support EXCLUDE REGEX "_${suffix}\\.c$")
  if(NOT LIBURING_FOUND)
    list(FILTER sources EXCLUDE REGEX "/uring[^/]*$")
  endif()
  if(NOT JANSSON_FOUND)
    list(FILTER sources EXCLUDE REGEX "/auth[^/]*$")
  endif()
  if(support)
    add_library(${kind}_support STATIC EXCLUDE_FROM_ALL ${support})
    target_include_directories(${kind}_support PRIVATE src test/unit test/${kind})
    target_link_libraries(${kind}_support PRIVATE linnet_static PkgConfig::CMOCKA)
    set(support ${kind}_support)
  endif()
  foreach(source IN LISTS sources)
    get_filename_component(name ${source} NAME_WE)
    linnet_test_program(${kind} ${name} ${source})
    target_link_libraries(${kind}_${name} PRIVATE ${support})
    linnet_uses_loop(${source} uses_loop)
    string(REGEX REPLACE "_${suffix}$" "" short ${name})
    if(uses_loop)
      linnet_register(${kind}.${short}.epoll ${seconds} LINNET_IO=epoll ${kind}_${name})
      if(LIBURING_FOUND)
        linnet_register(${kind}.${short}.uring ${seconds} LINNET_IO=uring ${kind}_${name})
      endif()
    else()
      linnet_register(${kind}.${short} ${seconds} "" ${kind}_${name})
    endif()
  endforeach()
endfunction()

if(CMOCKA_FOUND)
  linnet_cmocka_tests(unit test 60)
  linnet_cmocka_tests(sim sim 60)
elseif(NOT WITH_TESTS STREQUAL "OFF")
  message(STATUS "cmocka is missing: no unit tests")
endif()

file(GLOB FUZZ_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/test/fuzz/*_fuzz.c)
if(NOT JANSSON_FOUND)
  list(FILTER FUZZ_SOURCES EXCLUDE REGEX "/auth[^/]*$")
endif()
foreach(source IN LISTS FUZZ_SOURCES)
  get_filename_component(name ${source} NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" short ${name})
  if(WITH_FUZZ)
    linnet_test_program(fuzz ${name} ${source})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  else()
    linnet_test_program(fuzz ${name} ${source} ${PROJECT_SOURCE_DIR}/test/fuzz/replay.c)
    linnet_register(fuzz.${short} 60 "" fuzz_${name} ${PROJECT_SOURCE_DIR}/test/fuzz/corpus/${short})
  endif()
endforeach()
