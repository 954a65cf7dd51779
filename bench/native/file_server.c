/* file-server: one file to whoever asks, by one of the three ways a server can send a file.
     file-server read|mmap|sendfile PATH
   One thread, level-triggered epoll; the file is opened once, and mapped once. A request is a TLV header without a
   body, the answer the same header with the file's length, and the file. Files are assumed not to change. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "c_server.h"

enum { HEADER_BYTES = 8, PIECE_BYTES = 64 * 1024 };

struct connection {
  int fd; /* first: c_server.h asks for it */
  bool is_sending;
  char header[HEADER_BYTES]; /* of the request, then of the answer */
  size_t header_bytes;       /* received, then sent */
  off_t offset;              /* of the file's next byte */
};

/* Sends some of the file from `offset` on, as `send` does. */
typedef ssize_t send_part(int fd, off_t offset);

static int file;
static off_t file_bytes;
static const char *mapped;
static send_part *send_file_part;
static char piece[PIECE_BYTES];

static ssize_t send_read(int fd, off_t offset) {
  ssize_t got = pread(file, piece, sizeof piece, offset);
  return got <= 0 ? -1 : send(fd, piece, (size_t)got, 0);
}

static ssize_t send_mapped(int fd, off_t offset) {
  return send(fd, mapped + offset, (size_t)(file_bytes - offset), 0);
}

static ssize_t send_in_kernel(int fd, off_t offset) {
  return sendfile(fd, file, &offset, (size_t)(file_bytes - offset));
}

/* The next two return false when the connection is over. */
static bool send_answer(int epoll, struct connection *connection) {
  ssize_t sent = 1;
  while (sent > 0 && connection->header_bytes < HEADER_BYTES) {
    sent = send(connection->fd, connection->header + connection->header_bytes, HEADER_BYTES - connection->header_bytes,
                MSG_MORE);
    if (sent > 0) connection->header_bytes += (size_t)sent;
  }
  while (sent > 0 && connection->offset < file_bytes) {
    sent = send_file_part(connection->fd, connection->offset);
    if (sent > 0) connection->offset += sent;
  }
  if (sent <= 0) return sent < 0 && errno == EAGAIN;
  connection->is_sending = false;
  connection->header_bytes = 0;
  watch(epoll, EPOLL_CTL_MOD, connection->fd, EPOLLIN, connection);
  return true;
}

static bool take_request(int epoll, struct connection *connection) {
  ssize_t got = recv(connection->fd, connection->header + connection->header_bytes,
                     HEADER_BYTES - connection->header_bytes, 0);
  if (got <= 0) return got < 0 && errno == EAGAIN;
  connection->header_bytes += (size_t)got;
  if (connection->header_bytes < HEADER_BYTES) return true;
  uint32_t bytes = (uint32_t)file_bytes;
  memcpy(connection->header + 4, &bytes, sizeof bytes);
  connection->is_sending = true;
  connection->header_bytes = 0;
  connection->offset = 0;
  watch(epoll, EPOLL_CTL_MOD, connection->fd, EPOLLOUT, connection);
  return send_answer(epoll, connection);
}

static bool proceed(int epoll, void *about) {
  struct connection *connection = about;
  return connection->is_sending ? send_answer(epoll, connection) : take_request(epoll, connection);
}

static void release(void *about) {
  struct connection *connection = about;
  close(connection->fd);
  free(connection);
}

static send_part *open_file(const char *way, const char *path) {
  struct stat status;
  file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0 || fstat(file, &status) != 0) return NULL;
  file_bytes = status.st_size;
  if (strcmp(way, "read") == 0) return send_read;
  if (strcmp(way, "sendfile") == 0) return send_in_kernel;
  if (strcmp(way, "mmap") != 0) return NULL;
  void *place = mmap(NULL, (size_t)file_bytes, PROT_READ, MAP_SHARED, file, 0);
  mapped = place;
  return place == MAP_FAILED ? NULL : send_mapped;
}

int main(int argc, char **argv) {
  send_file_part = argc == 3 ? open_file(argv[1], argv[2]) : NULL;
  if (send_file_part == NULL) {
    fprintf(stderr, "file-server: read|mmap|sendfile PATH: %s\n", strerror(errno));
    return 2;
  }
  serve("file-server", 0, sizeof(struct connection), proceed, release);
  return 0;
}
