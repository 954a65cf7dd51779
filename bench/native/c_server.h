/* What the C servers share: a listening socket, the connections taken from it, one epoll loop, an orderly end.
   epoll_echo.c and file_server.c add what a connection does. */

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What a connection does when its socket is ready, for what it is watched for. False when it is over. */
typedef bool on_ready(int epoll, void *connection);
/** Gives back what a connection holds, its descriptor and itself included. */
typedef void on_end(void *connection);

/**
 * Listens on 127.0.0.1, a free port for 0, prints the ready line, and serves until SIGTERM or SIGINT. A connection is
 * `connection_bytes` of zeroes that begin with its descriptor, an int; it is watched for input at first.
 */
void serve(const char *name, uint16_t port, size_t connection_bytes, on_ready *ready, on_end *end);

/** Adds or changes a descriptor that epoll reports as `about`. */
void watch(int epoll, int operation, int fd, uint32_t events, void *about);
