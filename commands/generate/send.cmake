# The load sender, used by `sluice generate` and by the benchmarks. libgrpc is opened at run time
# under the name that its linker link points to; http-parser is linked in, as its shared object
# would have to be loaded by every start of the program.
list(GET GRPC_LINK_LIBRARIES 0 grpc_link)
file(READ_SYMLINK ${grpc_link} grpc_soname)
find_library(HTTP_PARSER_ARCHIVE libhttp_parser.a REQUIRED)
sluice_library(generate_send
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/send.c ${CMAKE_CURRENT_LIST_DIR}/send_answer.c
            ${CMAKE_CURRENT_LIST_DIR}/send_core.c ${CMAKE_CURRENT_LIST_DIR}/send_grpc.c
            ${CMAKE_CURRENT_LIST_DIR}/send_http.c
    LIBS PkgConfig::ZLIB ${HTTP_PARSER_ARCHIVE} m ${CMAKE_DL_LIBS})
target_include_directories(generate_send PRIVATE ${GRPC_INCLUDE_DIRS})
target_compile_definitions(generate_send PRIVATE SLUICE_GRPC_SONAME="${grpc_soname}")

if(SLUICE_TESTS)
    set(unit ${PROJECT_SOURCE_DIR}/tests/unit)
    sluice_unit_test(send_core SOURCES ${unit}/send_core.c LIBS generate_send)
    sluice_unit_test(send_http SOURCES ${unit}/send_http.c LIBS generate_send Threads::Threads)
    sluice_unit_test(send_grpc SOURCES ${unit}/send_grpc.c
        LIBS generate_send PkgConfig::GRPC Threads::Threads)
endif()
