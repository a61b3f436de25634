# Compiler settings and the three kinds of targets that Sluice is made of: libraries inside
# programs (sluice_library), plugins (sluice_plugin), and unit tests (sluice_unit_test).

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON) # the runtime uses POSIX and Linux calls; public headers are plain C11
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(sluice_flags INTERFACE)
target_compile_options(sluice_flags INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Werror
    -fno-strict-aliasing -fstack-protector-strong -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
target_compile_definitions(sluice_flags INTERFACE
    _GNU_SOURCE $<$<CONFIG:Debug>:SLUICE_CHECKED=1>)
target_include_directories(sluice_flags INTERFACE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR})
target_link_options(sluice_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed)
if(SLUICE_SANITIZE)
    target_compile_options(sluice_flags INTERFACE -fsanitize=${SLUICE_SANITIZE}
        -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(sluice_flags INTERFACE -fsanitize=${SLUICE_SANITIZE})
    target_compile_definitions(sluice_flags INTERFACE SLUICE_CHECKED=1)
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_compile_definitions(sluice_flags INTERFACE _FORTIFY_SOURCE=2)
endif()
if(SLUICE_FUZZ)
    target_compile_options(sluice_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# sluice_library(NAME SOURCES a.c ... [LIBS ...])
function(sluice_library name)
    cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
    add_library(${name} STATIC ${A_SOURCES})
    target_link_libraries(${name} PUBLIC ${A_LIBS} PRIVATE sluice_flags)
    target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR})
endfunction()

# sluice_program(NAME SOURCES a.c ... [LIBS ...])
function(sluice_program name)
    cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
    add_executable(${name} ${A_SOURCES})
    target_link_libraries(${name} PRIVATE ${A_LIBS} sluice_flags)
    if(SLUICE_SANITIZE)
        # The sanitizers look for crypt_r when the program starts, before a plugin brings libcrypt along.
        target_link_options(${name} PRIVATE -Wl,--push-state,--no-as-needed -lcrypt -Wl,--pop-state)
    endif()
endfunction()

# sluice_plugin(NAME SOURCES a.c ... [LIBS ...] [TEST]): a shared object in build/plugins (or, with
# TEST, in build/tests/plugins) that exports the one symbol sluice_plugin and lacks none.
function(sluice_plugin name)
    cmake_parse_arguments(A "TEST" "" "SOURCES;LIBS" ${ARGN})
    set(target plugin_${name})
    add_library(${target} MODULE ${A_SOURCES})
    set(dir ${CMAKE_BINARY_DIR}/plugins)
    if(A_TEST)
        set(dir ${CMAKE_BINARY_DIR}/tests/plugins)
    endif()
    set_target_properties(${target} PROPERTIES PREFIX "" OUTPUT_NAME ${name}
        LIBRARY_OUTPUT_DIRECTORY ${dir})
    target_link_libraries(${target} PRIVATE ${A_LIBS} sluice_flags)
    target_link_options(${target} PRIVATE
        -Wl,--version-script=${CMAKE_SOURCE_DIR}/cmake/plugin.map)
    if(NOT SLUICE_SANITIZE)
        target_link_options(${target} PRIVATE -Wl,-z,defs)
    endif()
    set_target_properties(${target} PROPERTIES LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/plugin.map)
    if(NOT A_TEST)
        install(TARGETS ${target} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/sluice/plugins)
    endif()
endfunction()

# sluice_unit_test(NAME SOURCES a.c ... [LIBS ...] [ARGS ...] [CONCURRENT]): CONCURRENT where several
# threads run, so that ThreadSanitizer looks at it; the target concurrent_tests is all of those.
add_custom_target(concurrent_tests)
function(sluice_unit_test name)
    cmake_parse_arguments(A "CONCURRENT" "" "SOURCES;LIBS;ARGS" ${ARGN})
    add_executable(test_${name} ${A_SOURCES})
    set_target_properties(test_${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/unit)
    target_link_libraries(test_${name} PRIVATE ${A_LIBS} cmocka sluice_flags)
    add_test(NAME unit.${name} COMMAND test_${name} ${A_ARGS})
    set_tests_properties(unit.${name} PROPERTIES TIMEOUT 120 LABELS unit)
    if(A_CONCURRENT)
        set_property(TEST unit.${name} APPEND PROPERTY LABELS concurrent)
        add_dependencies(concurrent_tests test_${name})
    endif()
endfunction()

# The same for a test in which allocations fail (tests/support/failing_memory.h).
function(sluice_memory_test name)
    cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
    sluice_unit_test(${name} LIBS ${A_LIBS}
        SOURCES ${A_SOURCES} ${PROJECT_SOURCE_DIR}/tests/support/failing_memory.c)
    target_link_options(test_${name} PRIVATE
        -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc)
endfunction()
