/*
 * streams PORT COUNT KIND PATH: many listeners in one thread, so light that the server is what is
 * measured. KIND is `sse`, `ws` or `socket.io`. The addresses called are 127.0.0.1, 127.0.0.2 …,
 * each for 20,000 streams, since one has only so many ports.
 *
 * An event is recognised by "sentAt":, followed by 16 digits: 10^15 + microseconds of the monotonic
 * clock, which both sides share. Several may come in one frame.
 *
 * Prints {"ready": COUNT} once all are open. Orders, each answered by one JSON object a line:
 *   reset     forgets what was counted
 *   report    {"events", "bytes", "reads", "firstUs", "lastUs", "p50", "p95", "p99", "closed"} (ms)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FDS_MAX 70000
#define PER_ADDRESS 20000
/* Unfinished handshakes at a time: below what a listener queues. */
#define PENDING_MAX 128
/* Times in buckets of 10 microseconds, up to 5 seconds. */
#define BUCKETS 500000
#define MARK "\"sentAt\":"
#define MARK_LENGTH (sizeof MARK - 1)
#define EVENT_LENGTH (MARK_LENGTH + 16)

enum state { CONNECTING, ASKED, GREETED, OPEN };

static unsigned histogram[BUCKETS];
static unsigned long long events, bytes, reads_;
static long long first, last;
static enum state states[FDS_MAX];
/* The end of what was read, which may be the beginning of an event. */
static char tails[FDS_MAX][EVENT_LENGTH];
static unsigned char tail_lengths[FDS_MAX];
static int closed;

static long long microseconds(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static double quantile(double part) {
	unsigned long long seen = 0, wanted = part * events;
	for (int i = 0; i < BUCKETS; i++)
		if ((seen += histogram[i]) > wanted) return i / 100.0;
	return BUCKETS / 100.0;
}

/* `text` has room for the tail of the last reading before it. */
static void count_events(int fd, char *text, int length) {
	long long now = microseconds();
	char *end = text + length, *from = text - tail_lengths[fd], *found;
	memcpy(from, tails[fd], tail_lengths[fd]);
	bytes += length;
	reads_++;
	while ((found = memmem(from, end - from, MARK, MARK_LENGTH))) {
		if (end - found < (long)EVENT_LENGTH) break;
		long long sent = 0;
		for (char *digit = found + MARK_LENGTH; digit < found + EVENT_LENGTH; digit++)
			sent = sent * 10 + (*digit - '0');
		sent -= 1000000000000000LL;
		long long bucket = (now - sent) / 10;
		histogram[bucket < 0 ? 0 : bucket < BUCKETS ? bucket : BUCKETS - 1]++;
		events++;
		last = now;
		if (!first) first = sent;
		from = found + EVENT_LENGTH;
	}
	int rest = end - from < (long)EVENT_LENGTH - 1 ? end - from : (long)EVENT_LENGTH - 1;
	memcpy(tails[fd], end - rest, rest);
	tail_lengths[fd] = rest;
}

static void obey(const char *order) {
	if (!strncmp(order, "reset", 5)) {
		memset(histogram, 0, sizeof histogram);
		events = bytes = reads_ = first = last = 0;
	}
	printf("{\"events\":%llu,\"bytes\":%llu,\"reads\":%llu,\"firstUs\":%lld,\"lastUs\":%lld,"
	       "\"p50\":%.2f,\"p95\":%.2f,\"p99\":%.2f,\"closed\":%d}\n",
	       events, bytes, reads_, first, last, quantile(.5), quantile(.95), quantile(.99), closed);
	fflush(stdout);
}

int main(int argc, char **argv) {
	if (argc != 5) return 2;
	int port = atoi(argv[1]), wanted = atoi(argv[2]), opened = 0, pending = 0, ready = 0, told = 0;
	int is_sse = !strcmp(argv[3], "sse"), is_socket_io = !strcmp(argv[3], "socket.io");
	char request[1024], order[256];
	static char buffer[1 << 18];
	char *text = buffer + 64;
	int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", argv[4],
	                      is_sse ? "Accept: text/event-stream\r\n"
	                             : "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	                               "Sec-WebSocket-Version: 13\r\n");
	int poll = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = 0}, list[512];
	epoll_ctl(poll, EPOLL_CTL_ADD, 0, &event);

	for (;;) {
		while (opened < wanted && pending < PENDING_MAX) {
			int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
			if (fd < 0 || fd >= FDS_MAX) {
				perror("streams");
				return 1;
			}
			struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
			to.sin_addr.s_addr = htonl(INADDR_LOOPBACK + opened / PER_ADDRESS);
			connect(fd, (void *)&to, sizeof to);
			states[fd] = CONNECTING;
			event.events = EPOLLIN | EPOLLOUT;
			event.data.fd = fd;
			epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
			opened++;
			pending++;
		}
		if (ready == wanted && !told) {
			told = 1;
			printf("{\"ready\":%d}\n", ready);
			fflush(stdout);
		}
		int n = epoll_wait(poll, list, 512, -1);
		for (int i = 0; i < n; i++) {
			int fd = list[i].data.fd;
			if (fd == 0) {
				if (!fgets(order, sizeof order, stdin)) return 0;
				obey(order);
				continue;
			}
			if (states[fd] == CONNECTING && list[i].events & EPOLLOUT) {
				if (write(fd, request, length) != length) {
					perror("streams: cannot connect");
					return 1;
				}
				states[fd] = ASKED;
				event.events = EPOLLIN;
				event.data.fd = fd;
				epoll_ctl(poll, EPOLL_CTL_MOD, fd, &event);
			}
			if (!(list[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) continue;
			int got = read(fd, text, sizeof buffer - 65);
			if (got < 0 && errno == EAGAIN) continue;
			if (got <= 0) {
				closed++;
				close(fd);
				continue;
			}
			text[got] = 0;
			if (states[fd] == OPEN) count_events(fd, text, got);
			if (states[fd] == ASKED) {
				if (strncmp(text, "HTTP/1.1 101", 12) && strncmp(text, "HTTP/1.1 200", 12)) {
					fprintf(stderr, "streams: %.200s\n", text);
					return 1;
				}
				states[fd] = is_socket_io ? GREETED : OPEN;
				/* Socket.IO wants a CONNECT packet, as a masked frame, before it lets anybody in. */
				if (is_socket_io && write(fd, "\x81\x82\0\0\0\0" "40", 8) != 8) return 1;
			}
			if (states[fd] == GREETED && memmem(text, got, "40{\"sid\"", 8)) states[fd] = OPEN;
			if (states[fd] == OPEN && tail_lengths[fd] == 0) {
				/* Counted as ready once; from here on the tail is never empty. */
				tails[fd][0] = ' ';
				tail_lengths[fd] = 1;
				ready++;
				pending--;
			}
		}
	}
}
