/* epoll-echo: the floor that servers are measured against. One thread, level-triggered epoll, one read
   of up to 64 KiB per event, one write of all the complete TLV frames it holds.
   Frames lie back to back and are echoed unchanged, so what is complete goes back from where it was read.
   Prints the ready line of CONTRACT.md; SIGTERM and SIGINT end it. */

#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "c_server.h"

enum { HEADER_BYTES = 8, BODY_BYTES_MAX = 1 << 20, READ_BYTES = 64 * 1024 };

struct connection {
  int fd; /* first: c_server.h asks for it */
  char *kept; /* start of a frame that is not complete yet */
  size_t kept_bytes;
  char *unsent; /* replies the socket would not take; reading pauses until they are gone */
  size_t unsent_bytes;
};

static char buffer[HEADER_BYTES + BODY_BYTES_MAX + READ_BYTES];
static void release(void *about) {
  struct connection *connection = about;
  close(connection->fd);
  free(connection->kept);
  free(connection->unsent);
  free(connection);
}

/* Bytes of whole frames at the start of `bytes`, or -1 when a header announces too much. */
static ssize_t complete_bytes(const char *bytes, size_t length) {
  size_t offset = 0;
  while (length - offset >= HEADER_BYTES) {
    uint32_t body_bytes;
    memcpy(&body_bytes, bytes + offset + 4, sizeof body_bytes);
    if (body_bytes > BODY_BYTES_MAX) return -1;
    if (length - offset < HEADER_BYTES + body_bytes) break;
    offset += HEADER_BYTES + body_bytes;
  }
  return (ssize_t)offset;
}

static char *replace(char *old, const char *bytes, size_t length) {
  char *copy = NULL;
  if (length > 0) {
    copy = malloc(length);
    if (copy == NULL) abort();
    memcpy(copy, bytes, length);
  }
  free(old);
  return copy;
}

/* The next three return 0 when the connection is over. */
static int reply(int epoll, struct connection *connection, const char *bytes, size_t length) {
  ssize_t written = send(connection->fd, bytes, length, MSG_NOSIGNAL);
  if (written < 0 && errno != EAGAIN && errno != EINTR) return 0;
  size_t taken = written < 0 ? 0 : (size_t)written;
  if (taken == length) return 1;
  connection->unsent = replace(connection->unsent, bytes + taken, length - taken);
  connection->unsent_bytes = length - taken;
  watch(epoll, EPOLL_CTL_MOD, connection->fd, EPOLLOUT, connection);
  return 1;
}

static int on_readable(int epoll, struct connection *connection) {
  size_t kept = connection->kept_bytes;
  if (kept > 0) memcpy(buffer, connection->kept, kept);
  ssize_t got = recv(connection->fd, buffer + kept, READ_BYTES, 0);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return 0;
  size_t length = kept + (size_t)got;
  ssize_t complete = complete_bytes(buffer, length);
  if (complete < 0) return 0;
  size_t left = length - (size_t)complete;
  if (left > 0 || kept > 0) {
    connection->kept = replace(connection->kept, buffer + complete, left);
    connection->kept_bytes = left;
  }
  return complete == 0 || reply(epoll, connection, buffer, (size_t)complete);
}

static int on_writable(int epoll, struct connection *connection) {
  ssize_t written = send(connection->fd, connection->unsent, connection->unsent_bytes, MSG_NOSIGNAL);
  if (written < 0) return errno == EAGAIN || errno == EINTR;
  connection->unsent_bytes -= (size_t)written;
  memmove(connection->unsent, connection->unsent + written, connection->unsent_bytes);
  if (connection->unsent_bytes == 0) watch(epoll, EPOLL_CTL_MOD, connection->fd, EPOLLIN, connection);
  return 1;
}

/* Exactly one of the two is watched at a time; errors and hang-ups show in the call that follows. */
static bool proceed(int epoll, void *about) {
  struct connection *connection = about;
  return connection->unsent_bytes > 0 ? on_writable(epoll, connection) : on_readable(epoll, connection);
}

int main(int argc, char **argv) {
  serve("epoll-echo", argc > 1 ? (uint16_t)atoi(argv[1]) : 0, sizeof(struct connection), proceed, release);
  return 0;
}
