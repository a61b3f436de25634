/* The functions of gRPC's C core that the load sender calls, opened at run time: linking libgrpc
 * would cost every start of the program 5 to 9 ms and 8 MiB. The list gives each function its
 * declared type, so that a call is checked by the compiler as if it were linked. */
#ifndef SLUICE_GENERATE_SEND_GRPC_API_H
#define SLUICE_GENERATE_SEND_GRPC_API_H

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>

#define SEND_GRPC_FUNCTIONS(X)                                                                     \
    X(grpc_init)                                                                                   \
    X(grpc_shutdown_blocking)                                                                      \
    X(grpc_insecure_credentials_create)                                                            \
    X(grpc_channel_credentials_release)                                                            \
    X(grpc_channel_create)                                                                         \
    X(grpc_channel_destroy)                                                                        \
    X(grpc_channel_register_call)                                                                  \
    X(grpc_channel_create_registered_call)                                                         \
    X(grpc_channel_check_connectivity_state)                                                       \
    X(grpc_channel_watch_connectivity_state)                                                       \
    X(grpc_completion_queue_create_for_next)                                                       \
    X(grpc_completion_queue_next)                                                                  \
    X(grpc_completion_queue_shutdown)                                                              \
    X(grpc_completion_queue_destroy)                                                               \
    X(grpc_call_start_batch)                                                                       \
    X(grpc_call_unref)                                                                             \
    X(grpc_metadata_array_destroy)                                                                 \
    X(grpc_raw_byte_buffer_create)                                                                 \
    X(grpc_raw_compressed_byte_buffer_create)                                                      \
    X(grpc_byte_buffer_destroy)                                                                    \
    X(grpc_byte_buffer_length)                                                                     \
    X(grpc_byte_buffer_reader_init)                                                                \
    X(grpc_byte_buffer_reader_readall)                                                             \
    X(grpc_byte_buffer_reader_destroy)                                                             \
    X(grpc_slice_new_with_user_data)                                                               \
    X(grpc_slice_from_copied_string)                                                               \
    X(grpc_slice_unref)                                                                            \
    X(gpr_free)

struct send_grpc_api {
#define SEND_GRPC_MEMBER(name) __typeof__(name) *name;
    SEND_GRPC_FUNCTIONS(SEND_GRPC_MEMBER)
#undef SEND_GRPC_MEMBER
};

#endif
