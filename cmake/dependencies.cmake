# SPDX-License-Identifier: MIT
# Outside libraries, all through pkg-config. doc/decisions/0003 says why each is here.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl>=3.0)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(LIBDEFLATE REQUIRED IMPORTED_TARGET libdeflate)

# linnet_optional(<option> <prefix> <module>): looks for a module as the option's AUTO, ON or OFF demands.
macro(linnet_optional option prefix module)
  if(${option} STREQUAL "AUTO")
    pkg_check_modules(${prefix} IMPORTED_TARGET ${module})
  elseif(${option})
    pkg_check_modules(${prefix} REQUIRED IMPORTED_TARGET ${module})
  else()
    set(${prefix}_FOUND FALSE)
  endif()
endmacro()

linnet_optional(WITH_URING LIBURING liburing>=2.3)
linnet_optional(WITH_EDIT LIBEDIT libedit)
linnet_optional(WITH_TOKENS JANSSON jansson)
linnet_optional(WITH_TESTS CMOCKA cmocka)
