/* udp-echo: the floor that UDP servers are measured against. One thread, one blocking recvmmsg of up to 64
   datagrams, one sendmmsg of those that are TLV frames, back from where they were read.
   Prints the ready line of CONTRACT.md; SIGTERM and SIGINT end it. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEADER_BYTES = 8, DATAGRAM_BYTES = 2048, BATCH = 64 };

static unsigned char bytes[BATCH][DATAGRAM_BYTES];
static struct sockaddr_in senders[BATCH];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];
static volatile sig_atomic_t stopping;

static void on_signal(int number) {
  (void)number;
  stopping = 1;
}

static int is_frame(const unsigned char *datagram, size_t length) {
  uint32_t body_bytes;
  if (length < HEADER_BYTES) return 0;
  memcpy(&body_bytes, datagram + 4, sizeof body_bytes);
  return body_bytes == length - HEADER_BYTES;
}

static int receive(int fd) {
  for (int i = 0; i < BATCH; i += 1) {
    vectors[i] = (struct iovec){bytes[i], DATAGRAM_BYTES};
    messages[i].msg_hdr = (struct msghdr){
        .msg_name = &senders[i], .msg_namelen = sizeof senders[i], .msg_iov = &vectors[i], .msg_iovlen = 1};
  }
  return recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
}

static void reply(int fd, int count) {
  int frames = 0;
  for (int i = 0; i < count; i += 1) {
    if (!is_frame(bytes[i], messages[i].msg_len)) continue;
    vectors[i].iov_len = messages[i].msg_len;
    messages[frames].msg_hdr = messages[i].msg_hdr;
    frames += 1;
  }
  for (int sent = 0; sent < frames;) {
    int taken = sendmmsg(fd, messages + sent, (unsigned)(frames - sent), 0);
    sent += taken > 0 ? taken : 1; /* one that is refused is dropped */
  }
}

int main(int argc, char **argv) {
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? (uint16_t)atoi(argv[1]) : 0)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 ||
      getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
    perror("udp-echo");
    return 1;
  }
  printf("{\"event\":\"ready\",\"pid\":%d,\"listen\":{\"udp\":\"127.0.0.1:%u\"}}\n", getpid(), ntohs(address.sin_port));
  fflush(stdout);
  while (!stopping) {
    int count = receive(fd);
    if (count > 0) reply(fd, count);
  }
  return 0;
}
