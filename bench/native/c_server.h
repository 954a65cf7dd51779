/* What the C servers share: a listening socket, connections taken from it, the ready line and an orderly end.
   epoll_echo.c and file_server.c add what a connection does. */

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** False from SIGTERM or SIGINT on; `start_server` installs the handlers. */
bool is_serving(void);

/** Listens on 127.0.0.1, a free port for 0, allows itself all descriptors and prints the ready line. Ends on failure. */
int start_server(const char *name, uint16_t port);

/** Takes all connections that wait and watches them for input: each is `connection_bytes` of zeroes that begin with its
    descriptor, an int. */
void accept_all(int epoll, int listener, size_t connection_bytes);

/** Adds or changes a descriptor that epoll reports as `about`. */
void watch(int epoll, int operation, int fd, uint32_t events, void *about);
