/* The system calls behind c_server.h. */

#define _GNU_SOURCE
#include "c_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 512 };

static volatile sig_atomic_t stopping;

static void on_signal(int number) {
  (void)number;
  stopping = 1;
}

static int listen_loopback(const char *name, uint16_t *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  int on = 1;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, 4096) != 0 ||
      getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
    perror(name);
    exit(1);
  }
  *port = ntohs(address.sin_port);
  return fd;
}

static int start_server(const char *name, uint16_t port) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  int fd = listen_loopback(name, &port);
  printf("{\"event\":\"ready\",\"pid\":%d,\"listen\":{\"tcp\":\"127.0.0.1:%u\"}}\n", getpid(), port);
  fflush(stdout);
  return fd;
}

void watch(int epoll, int operation, int fd, uint32_t events, void *about) {
  struct epoll_event event = {.events = events, .data.ptr = about};
  epoll_ctl(epoll, operation, fd, &event);
}

static void accept_all(int epoll, int listener, size_t connection_bytes) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int *connection = calloc(1, connection_bytes);
    if (connection == NULL) abort();
    *connection = fd;
    watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, connection);
  }
}

void serve(const char *name, uint16_t port, size_t connection_bytes, on_ready *ready, on_end *end) {
  int listener = start_server(name, port);
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, &listener);
  struct epoll_event events[EVENTS_MAX];
  while (!stopping) {
    int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
    for (int position = 0; position < count; position += 1) {
      void *connection = events[position].data.ptr;
      if (connection == &listener) accept_all(epoll, listener, connection_bytes);
      else if (!ready(epoll, connection)) end(connection);
    }
  }
}
