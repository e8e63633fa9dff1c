/*
 * limit: what nothing can pass. An epoll loop that holds event streams and writes one event,
 * encoded once, to each of them by a bare send(). It stores nothing and checks nobody.
 *
 * Prints {"port": n} once it listens. Orders on standard input, answers as one JSON object a line on standard output:
 *   memory         {"rss": bytes, "streams": n}
 *   broadcast K    K events to every stream: {"cpuMs": …, "ms": …}
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STREAMS_MAX 65536
#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
/* As long as what the others send; the id and the numbers change, the length does not. */
#define EVENT                                                                                     \
	"data: {\"type\":\"conversation.advanced\",\"delta\":{\"conversationId\":"                    \
	"\"01980f3c-7a10-7c44-9d5e-3f2b8a6c1d07\",\"base\":%d,\"version\":%d,\"changes\":[{"           \
	"\"type\":\"message.changed\",\"message\":{\"id\":\"01980f3c-7a10-7c44-9d5e-3f2b8a6c1d08\","   \
	"\"conversationId\":\"01980f3c-7a10-7c44-9d5e-3f2b8a6c1d07\",\"seq\":%d,\"version\":%d,"       \
	"\"senderId\":\"01980f3c-7a10-7c44-9d5e-3f2b8a6c1d09\",\"sentAt\":%lld,\"kind\":\"text\","     \
	"\"body\":\"See you at nine.\"}}]}}\n\n"

static int streams[STREAMS_MAX], count, version = 1000000;

static long long microseconds(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static long long cpu_microseconds(void) {
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000LL + u.ru_utime.tv_usec +
	       u.ru_stime.tv_usec;
}

static void send_all(int fd, const char *bytes, int length) {
	for (int sent = 0; sent < length;) {
		int n = send(fd, bytes + sent, length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) sent += n;
		else if (errno == EAGAIN) usleep(50);
		else return;
	}
}

static void broadcast(void) {
	char data[1024], frame[1100];
	version++;
	int size = snprintf(data, sizeof data, EVENT, version - 1, version, version, version,
	                    1000000000000000LL + microseconds());
	int length = snprintf(frame, sizeof frame, "%x\r\n%s\r\n", size, data);
	for (int i = 0; i < count; i++) send_all(streams[i], frame, length);
}

static void obey(char *order) {
	long long began = microseconds(), cpu = cpu_microseconds();
	int times;
	if (sscanf(order, "broadcast %d", &times) == 1) {
		while (times-- > 0) broadcast();
		printf("{\"cpuMs\":%.3f,\"ms\":%.3f}\n", (cpu_microseconds() - cpu) / 1000.0,
		       (microseconds() - began) / 1000.0);
	} else {
		long pages = 0, resident = 0;
		FILE *file = fopen("/proc/self/statm", "r");
		if (file && fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
		if (file) fclose(file);
		printf("{\"rss\":%ld,\"streams\":%d}\n", resident * sysconf(_SC_PAGESIZE), count);
	}
	fflush(stdout);
}

int main(void) {
	int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = 0};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(listener, (void *)&address, sizeof address) < 0 || listen(listener, 4096) < 0) {
		perror("limit");
		return 1;
	}
	int poll = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[256];
	epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
	event.data.fd = 0;
	epoll_ctl(poll, EPOLL_CTL_ADD, 0, &event);
	socklen_t length = sizeof address;
	getsockname(listener, (void *)&address, &length);
	printf("{\"port\":%d}\n", ntohs(address.sin_port));
	fflush(stdout);

	char buffer[8192];
	for (;;) {
		int ready = epoll_wait(poll, events, 256, -1);
		for (int i = 0; i < ready; i++) {
			int fd = events[i].data.fd;
			if (fd == 0) {
				if (!fgets(buffer, sizeof buffer, stdin)) return 0;
				obey(buffer);
			} else if (fd == listener) {
				for (int s; (s = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0;) {
					setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
					event.data.fd = s;
					epoll_ctl(poll, EPOLL_CTL_ADD, s, &event);
				}
			} else if (read(fd, buffer, sizeof buffer) <= 0) {
				close(fd);
				for (int s = 0; s < count; s++)
					if (streams[s] == fd) streams[s] = streams[--count];
			} else if (count < STREAMS_MAX) {
				send_all(fd, HEAD, sizeof HEAD - 1);
				streams[count++] = fd;
			}
		}
	}
}
