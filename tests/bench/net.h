/* Addresses and sockets of the benchmark's plain-socket programs. */
#ifndef SLUICE_BENCH_NET_H
#define SLUICE_BENCH_NET_H

/* Non-blocking TCP sockets for "HOST:PORT" (a numeric IPv4 address, as benchmarks run on the
 * loopback device); -1 after a message on stderr. net_connect waits until it is connected. */
int net_listen(const char *address);
int net_accept(int listener); /* -1 when nobody waits */
int net_connect(const char *address);
int net_try(const char *address); /* as net_connect, without a message */

#endif
