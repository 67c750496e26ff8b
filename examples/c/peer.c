// A peer of gopherdiscovery on libnng. It announces a name, and prints the list
// of all names when the list changes. nng does what docs/protocol.md says about
// connections, handshakes, redialling and the headers of surveys. It cannot say
// goodbye: a peer leaves when its connections are closed.
//
//	make -C examples/c && examples/c/peer -name http://10.0.0.3:8080

#define _POSIX_C_SOURCE 200809L

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/survey0/respond.h>
#include <nng/supplemental/util/platform.h>

enum {
	NAME_LIMIT = 512,
	SURVEY_LIMIT = 4 << 10,
	LIST_LIMIT = 64 << 20,
	REDIAL_MIN = 100, // milliseconds
	REDIAL_MAX = 1000,
	FIRST_DOUBT = 30000, // without a survey, while the interval is unknown
	SHORTEST_DOUBT = 5000, // or three intervals, whichever is longer
	LONGEST_DOUBT = 3600000,
};

// span is a part of a message.
typedef struct {
	const char *at;
	size_t len;
} span;

// peer holds what the callbacks of its two sockets use. The two callbacks share
// only what does not change.
typedef struct {
	const char *name;
	nng_socket survey, list;
	nng_aio *survey_aio, *list_aio;
	bool answering; // survey_aio is sending

	// The path of a connection may be dead although both ends stay open. While
	// that is in doubt, another dialer works beside the one in use.
	const char *server;
	nng_dialer used, spare; // spare has the id 0 if there is none
	int used_surveys, spare_surveys;
	nng_time surveyed; // on the connection in use
	nng_duration doubt; // how long surveys may be absent

	char *last;     // the line printed last; NULL before the first
	size_t last_len;
} peer;

static void fail(int code, const char *format, ...)
{
	va_list args;

	fputs("peer: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	_Exit(code); // other threads may be running
}

static void check(int rv, const char *what)
{
	if (rv != 0) {
		fail(1, "%s: %s", what, nng_strerror(rv));
	}
}

static void *allocate(size_t size)
{
	void *p = malloc(size > 0 ? size : 1);

	if (p == NULL) {
		fail(1, "out of memory");
	}
	return p;
}

// rune_length returns the length of the UTF-8 character at the beginning of s. It
// returns 0 if there is no valid one, or a control character.
static size_t rune_length(span s)
{
	// For each length, these are the bits of the first byte that announce it,
	// and the lowest character that needs it.
	static const struct {
		unsigned char mask, bits;
		uint32_t lowest;
	} kinds[] = {{0x80, 0x00, 0}, {0xE0, 0xC0, 0x80}, {0xF0, 0xE0, 0x800}, {0xF8, 0xF0, 0x10000}};
	const unsigned char *byte = (const unsigned char *)s.at;

	for (size_t len = 1; len <= 4 && len <= s.len; len++) {
		if ((byte[0] & kinds[len - 1].mask) != kinds[len - 1].bits) {
			continue;
		}
		uint32_t c = byte[0] & (unsigned char)~kinds[len - 1].mask;
		for (size_t i = 1; i < len; i++) {
			if ((byte[i] & 0xC0) != 0x80) {
				return 0;
			}
			c = c << 6 | (byte[i] & 0x3F);
		}
		bool surrogate = c >= 0xD800 && c <= 0xDFFF;
		bool control = c < 0x20 || (c >= 0x7F && c <= 0x9F);
		return c < kinds[len - 1].lowest || c > 0x10FFFF || surrogate || control ? 0 : len;
	}
	return 0;
}

static bool is_name(span s)
{
	if (s.len == 0 || s.len > NAME_LIMIT || memchr(s.at, '|', s.len) != NULL) {
		return false;
	}
	while (s.len > 0) {
		size_t len = rune_length(s);
		if (len == 0) {
			return false;
		}
		s.at += len;
		s.len -= len;
	}
	return true;
}

static int compare(const void *a, const void *b)
{
	const span *x = a, *y = b;
	int order = memcmp(x->at, y->at, x->len < y->len ? x->len : y->len);

	return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

// split returns the valid names in a list, sorted. They are parts of the body.
static span *split(span body, size_t *count)
{
	size_t most = 1;

	for (size_t i = 0; i < body.len; i++) {
		most += body.at[i] == '|';
	}
	span *names = allocate(most * sizeof *names);
	*count = 0;
	while (most-- > 0) {
		const char *end = body.len > 0 ? memchr(body.at, '|', body.len) : NULL;
		span name = {body.at, end != NULL ? (size_t)(end - body.at) : body.len};
		if (is_name(name)) {
			names[(*count)++] = name;
		}
		if (end != NULL) {
			body.len -= name.len + 1;
			body.at = end + 1;
		}
	}
	qsort(names, *count, sizeof *names, compare);
	return names;
}

// print_list prints a list unless it is the same as the last one.
static void print_list(peer *p, span body)
{
	static const char start[] = "peers: [", end[] = "]\n";
	size_t count;
	span *names = split(body, &count);

	if (count == 0 && body.len > 0) {
		free(names);
		return; // a body without names is invalid, not an empty list
	}
	char *line = allocate(strlen(start) + body.len + strlen(end));
	size_t len = strlen(start);
	memcpy(line, start, len);
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && compare(&names[i - 1], &names[i]) == 0) {
			continue;
		}
		if (i > 0) {
			line[len++] = ' ';
		}
		memcpy(line + len, names[i].at, names[i].len);
		len += names[i].len;
	}
	memcpy(line + len, end, strlen(end));
	len += strlen(end);
	free(names);
	if (p->last != NULL && p->last_len == len && memcmp(p->last, line, len) == 0) {
		free(line);
		return;
	}
	if (fwrite(line, 1, len, stdout) != len || fflush(stdout) != 0) {
		fail(1, "cannot write to stdout");
	}
	free(p->last);
	p->last = line;
	p->last_len = len;
}

// on_list is called when a list has come.
static void on_list(void *arg)
{
	peer *p = arg;

	check(nng_aio_result(p->list_aio), "receive a list");
	nng_msg *msg = nng_aio_get_msg(p->list_aio);
	print_list(p, (span){nng_msg_body(msg), nng_msg_len(msg)});
	nng_msg_free(msg);
	nng_recv_aio(p->list, p->list_aio);
}

static void set_options(nng_socket socket, size_t limit)
{
	check(nng_setopt_size(socket, NNG_OPT_RECVMAXSZ, limit), "set the longest message");
	check(nng_setopt_ms(socket, NNG_OPT_RECONNMINT, REDIAL_MIN), "set the pause between dials");
	check(nng_setopt_ms(socket, NNG_OPT_RECONNMAXT, REDIAL_MAX), "set the pause between dials");
}

static nng_dialer dial(nng_socket socket, const char *flag, const char *url)
{
	nng_dialer dialer;
	// It does not matter whether a server is there: nng dials until there is
	// one.
	int rv = nng_dial(socket, url, &dialer, NNG_FLAG_NONBLOCK);

	if (rv != 0) {
		fail(2, "%s %s: %s", flag, url, nng_strerror(rv));
	}
	return dialer;
}

static void receive_survey(peer *p)
{
	nng_aio_set_timeout(p->survey_aio, p->doubt);
	nng_recv_aio(p->survey, p->survey_aio);
}

// settle decides between two dialers when a survey has come. The new one is kept
// from its second survey on. Then the answer to its first has had the time to
// arrive.
static void settle(peer *p, nng_dialer from)
{
	if (p->spare.id != 0 && from.id == p->spare.id) {
		if (++p->spare_surveys == 2) {
			nng_dialer_close(p->used);
			p->used = p->spare;
			p->spare.id = 0;
			p->used_surveys = 2;
			p->surveyed = nng_clock();
		}
		return;
	}
	nng_time now = nng_clock();
	if (p->spare.id != 0) { // the doubt was wrong
		nng_dialer_close(p->spare);
		p->spare.id = 0;
		p->doubt = p->doubt < LONGEST_DOUBT / 2 ? 2 * p->doubt : LONGEST_DOUBT;
	} else if (p->used_surveys > 1) { // the first one comes out of turn
		nng_duration pauses = 3 * (now - p->surveyed < LONGEST_DOUBT / 3 ? (nng_duration)(now - p->surveyed) : LONGEST_DOUBT / 3);
		p->doubt = pauses > SHORTEST_DOUBT ? pauses : SHORTEST_DOUBT;
	}
	p->used_surveys++;
	p->surveyed = now;
}

// on_survey is called when a survey has come, or none for too long, or when its
// answer is on its way.
static void on_survey(void *arg)
{
	peer *p = arg;
	int rv = nng_aio_result(p->survey_aio);

	if (p->answering) {
		if (rv != 0) { // the server is gone
			nng_msg_free(nng_aio_get_msg(p->survey_aio)); // still ours, as it was not sent
		}
		p->answering = false;
		receive_survey(p);
		return;
	}
	if (rv == NNG_ETIMEDOUT) {
		if (p->spare.id == 0) {
			p->spare_surveys = 0;
			p->spare = dial(p->survey, "-server", p->server);
		}
		receive_survey(p);
		return;
	}
	check(rv, "receive a survey");
	nng_msg *msg = nng_aio_get_msg(p->survey_aio);
	settle(p, nng_pipe_dialer(nng_msg_get_pipe(msg)));
	nng_msg_clear(msg);
	check(nng_msg_append(msg, p->name, strlen(p->name)), "answer");
	nng_aio_set_msg(p->survey_aio, msg);
	nng_aio_set_timeout(p->survey_aio, NNG_DURATION_INFINITE);
	p->answering = true;
	nng_send_aio(p->survey, p->survey_aio);
}

// check_url refuses URLs that nng would dial without ever succeeding.
static void check_url(const char *flag, const char *url)
{
	if (strncmp(url, "ipc://", 6) == 0 && url[6] != '\0') {
		return;
	}
	const char *port = strrchr(url, ':');
	if (strncmp(url, "tcp://", 6) == 0 && port > url + 6 && strchr(url, ',') == NULL && strspn(port + 1, "0123456789") == strlen(port + 1) &&
	    strlen(port + 1) <= 5 && atoi(port + 1) >= 1 && atoi(port + 1) <= 65535) {
		return;
	}
	fail(2, "%s %s: want tcp://host:port or ipc://path", flag, url);
}

int main(int argc, char **argv)
{
	const char *server = "tcp://127.0.0.1:40007", *pubsub = "tcp://127.0.0.1:50007";
	peer p = {0};

	for (int i = 1; i < argc; i += 2) {
		const char **value = strcmp(argv[i], "-server") == 0   ? &server
		                     : strcmp(argv[i], "-pubsub") == 0 ? &pubsub
		                     : strcmp(argv[i], "-name") == 0   ? &p.name
		                                                       : NULL;
		if (value == NULL) {
			fail(2, "unknown argument %s: want -name name [-server URL] [-pubsub URL]", argv[i]);
		}
		if (i + 1 == argc) {
			fail(2, "%s needs a value", argv[i]);
		}
		*value = argv[i + 1];
	}
	if (p.name == NULL) {
		fail(2, "-name is missing");
	}
	if (!is_name((span){p.name, strlen(p.name)})) {
		fail(2, "-name: want 1 to %d bytes of UTF-8 without control characters and |", NAME_LIMIT);
	}
	check_url("-server", server);
	check_url("-pubsub", pubsub);

	// All threads of nng inherit the mask, so that the signals wait for sigwait.
	sigset_t ends;
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);

	check(nng_respondent0_open(&p.survey), "open a socket");
	check(nng_sub0_open(&p.list), "open a socket");
	check(nng_setopt(p.list, NNG_OPT_SUB_SUBSCRIBE, "", 0), "subscribe");
	check(nng_setopt_int(p.list, NNG_OPT_RECVBUF, 1), "keep only the newest list");
	check(nng_aio_alloc(&p.survey_aio, on_survey, &p), "start");
	check(nng_aio_alloc(&p.list_aio, on_list, &p), "start");
	set_options(p.survey, SURVEY_LIMIT);
	set_options(p.list, LIST_LIMIT);
	p.server = server;
	p.doubt = FIRST_DOUBT;
	p.used = dial(p.survey, "-server", server);
	dial(p.list, "-pubsub", pubsub);
	receive_survey(&p);
	nng_recv_aio(p.list, p.list_aio);

	int sig;
	sigwait(&ends, &sig);
	// The system closes the connections, which is how a peer leaves. nng_close
	// does not always return (seen with nng 1.5.2).
	_Exit(0);
}
