/* mbserver: a Modbus server on libmodbus whose registers are exactly known. For tests and benches; 127.0.0.1 only.
 *
 * usage: mbserver [--port 0] [--period-ms 100] [--units 1,2,3] [--illegal FIRST-LAST]... [--ticks C] [--delay-ms 0]
 *        mbserver --rtu DEVICE [--baud 9600] --units 5 ...    one unit on a serial line, no parity, one stop bit
 *
 * Every unit id in --units (default 1-247, written as a list or as a range) answers the same map; another unit id gets
 * no answer, as on a serial line behind a gateway. The map is a function of the address a, the unit u and the tick c:
 *   holding and input registers  2i, 2i+1 hold float32, high word first (ABCD): (i % 4096) + u * 4096 + (c % 8) / 8,
 *                                exact in 24 bits
 *   registers 65520..65535       u64 tick c, high word first, in 65520..65523; unit id u in 65524; the rest 0
 *   coils and discrete inputs    (a + u + c) is odd
 * c is 0 at start and grows by one every --period-ms, up to --ticks. All of one answer is of one tick.
 * A request that touches a register of an --illegal range gets exception 2 (illegal data address); coils do not.
 * Only the reading function codes 1-4 are served; any other gets exception 1 (illegal function). A request of wrong
 * length, or for a unit id that is not there, gets no answer.
 * --delay-ms lets that much time pass before each answer: a slow device, which answers one request after the other.
 *
 * Standard output is JSON, an object a line: {"event":"ready","port":...,"period_ms":...} when clients can connect, and
 * {"event":"stopped","ticks":...,"requests":...,"exceptions":...} at SIGTERM or SIGINT.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <modbus.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REGISTERS = 65536, INFO_BLOCK = 65520, FLOATS = INFO_BLOCK / 2, UNITS = 248, MAX_ILLEGAL = 16, MAX_EVENTS = 64 };

struct range { int first, last; };

struct options {
    const char *rtu;
    int port, period_ms, delay_ms, baud;
    uint64_t ticks;
    bool unit[UNITS];
    struct range illegal[MAX_ILLEGAL];
    int n_illegal;
};

/* The map of one unit at one tick; it is filled again when either changes. */
struct image {
    modbus_mapping_t *map;
    int unit;
    uint64_t tick;
    bool filled;
};

static volatile sig_atomic_t stopping;

static void on_signal(int number) {
    (void)number;
    stopping = 1;
}

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void die(const char *what, const char *why) {
    fprintf(stderr, "mbserver: %s: %s\n", what, why);
    exit(2);
}

static long number(const char *name, const char *text, char **end, long low, long high) {
    long v = strtol(text, end, 10);
    if (*end == text || v < low || v > high) die(name, text);
    return v;
}

/* Reads "5" or "5-9" and leaves *text behind it. */
static struct range read_range(const char *name, const char **text, long high) {
    char *end;
    struct range r;
    r.first = r.last = (int)number(name, *text, &end, 0, high);
    if (*end == '-') r.last = (int)number(name, end + 1, &end, r.first, high);
    *text = end;
    return r;
}

static void read_units(struct options *o, const char *text) {
    memset(o->unit, 0, sizeof o->unit);
    while (*text) {
        struct range r = read_range("--units", &text, UNITS - 1);
        for (int u = r.first; u <= r.last; u++) o->unit[u] = true;
        if (*text == ',') text++;
        else if (*text) die("--units", text);
    }
}

static void read_illegal(struct options *o, const char *text) {
    if (o->n_illegal == MAX_ILLEGAL) die("--illegal", "too many ranges");
    o->illegal[o->n_illegal++] = read_range("--illegal", &text, REGISTERS - 1);
    if (*text) die("--illegal", text);
}

static struct options read_options(int argc, char **argv) {
    struct options o = {.period_ms = 100, .baud = 9600, .ticks = UINT64_MAX};
    read_units(&o, "1-247");
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *text = i + 1 < argc ? argv[i + 1] : NULL;
        char *end = "";
        if (!text) die(name, "value missing");
        if (!strcmp(name, "--port")) o.port = (int)number(name, text, &end, 0, 65535);
        else if (!strcmp(name, "--period-ms")) o.period_ms = (int)number(name, text, &end, 1, 86400000);
        else if (!strcmp(name, "--delay-ms")) o.delay_ms = (int)number(name, text, &end, 0, 60000);
        else if (!strcmp(name, "--ticks")) o.ticks = (uint64_t)number(name, text, &end, 0, INT32_MAX);
        else if (!strcmp(name, "--baud")) o.baud = (int)number(name, text, &end, 1200, 921600);
        else if (!strcmp(name, "--rtu")) o.rtu = text;
        else if (!strcmp(name, "--units")) read_units(&o, text);
        else if (!strcmp(name, "--illegal")) read_illegal(&o, text);
        else die(name, "unknown argument");
        if (*end) die(name, text);
    }
    return o;
}

static void put(modbus_mapping_t *map, int address, uint16_t word) {
    map->tab_registers[address] = map->tab_input_registers[address] = word;
}

/* Writes the map described at the head of this file. */
static void fill(struct image *image, int unit, uint64_t tick) {
    if (image->filled && image->unit == unit && image->tick == tick) return;
    modbus_mapping_t *map = image->map;
    for (int i = 0; i < FLOATS; i++) {
        float value = (float)(i % 4096 + unit * 4096) + (float)(tick % 8) / 8.0f;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        put(map, 2 * i, (uint16_t)(bits >> 16));
        put(map, 2 * i + 1, (uint16_t)bits);
    }
    for (int w = 0; w < 4; w++) put(map, INFO_BLOCK + w, (uint16_t)(tick >> (48 - 16 * w)));
    put(map, INFO_BLOCK + 4, (uint16_t)unit);
    for (int a = 0; a < REGISTERS; a++)
        map->tab_bits[a] = map->tab_input_bits[a] = ((uint64_t)a + (uint64_t)unit + tick) & 1;
    image->unit = unit;
    image->tick = tick;
    image->filled = true;
}

static bool is_illegal(const struct options *o, int first, int count) {
    for (int i = 0; i < o->n_illegal; i++)
        if (first <= o->illegal[i].last && first + count > o->illegal[i].first) return true;
    return false;
}

/* The exception an answer must carry, or 0. */
static unsigned exception_for(const struct options *o, const uint8_t *pdu) {
    int function = pdu[0];
    if (function < 1 || function > 4) return MODBUS_EXCEPTION_ILLEGAL_FUNCTION;
    int first = pdu[1] << 8 | pdu[2], count = pdu[3] << 8 | pdu[4];
    if (function >= 3 && is_illegal(o, first, count)) return MODBUS_EXCEPTION_ILLEGAL_DATA_ADDRESS;
    return 0;
}

static void pause_ms(int ms) {
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    if (ms > 0) nanosleep(&t, NULL);
}

struct server {
    struct options options;
    modbus_t *modbus;
    struct image image[UNITS];
    int listener, epoll;
    uint64_t tick, requests, exceptions;
};

static struct image *image_of(struct server *s, int unit) {
    struct image *image = &s->image[unit];
    if (!image->map) image->map = modbus_mapping_new(REGISTERS, REGISTERS, REGISTERS, REGISTERS);
    if (!image->map) die("memory", strerror(errno));
    return image;
}

static void watch(struct server *s, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll", strerror(errno));
}

static void open_line(struct server *s) {
    int unit = 0;
    for (int u = 1; u < UNITS; u++)
        if (s->options.unit[u] && unit++) die("--rtu", "one unit, please: --units 5");
    for (unit = 1; !s->options.unit[unit]; unit++) {}
    s->modbus = modbus_new_rtu(s->options.rtu, s->options.baud, 'N', 8, 1);
    if (!s->modbus || modbus_set_slave(s->modbus, unit) || modbus_connect(s->modbus)) die("line", modbus_strerror(errno));
    /* How long the library waits for another unit's answer before it takes what comes for a request. */
    modbus_set_response_timeout(s->modbus, 0, 50000);
    modbus_set_byte_timeout(s->modbus, 0, 20000);
    s->listener = -1;
    watch(s, modbus_get_socket(s->modbus));
}

static void listen_on(struct server *s) {
    s->modbus = modbus_new_tcp("127.0.0.1", s->options.port);
    if (!s->modbus) die("modbus", modbus_strerror(errno));
    s->listener = modbus_tcp_listen(s->modbus, 64);
    if (s->listener < 0) die("listen", strerror(errno));
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    if (getsockname(s->listener, (struct sockaddr *)&address, &length) < 0) die("listen", strerror(errno));
    s->options.port = ntohs(address.sin_port);
    watch(s, s->listener);
}

static void accept_client(struct server *s) {
    int fd = accept(s->listener, NULL, NULL), on = 1;
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(s, fd);
}

static void answer(struct server *s, const uint8_t *query, int length) {
    int header = modbus_get_header_length(s->modbus);
    const uint8_t *pdu = query + header;
    int unit = query[header - 1], reading = pdu[0] >= 1 && pdu[0] <= 4;
    if (length < header + (reading ? 5 : 1) || unit >= UNITS || !s->options.unit[unit]) return;
    pause_ms(s->options.delay_ms);
    s->requests++;
    unsigned exception = exception_for(&s->options, pdu);
    if (exception) {
        s->exceptions++;
        modbus_reply_exception(s->modbus, query, exception);
        return;
    }
    struct image *image = image_of(s, unit);
    fill(image, unit, s->tick);
    modbus_reply(s->modbus, query, length, image->map);
}

/* The library leaves the tail of a request unread whose function code it does not know; the header tells how much. */
static bool drop_tail(int fd, const uint8_t *query, int length) {
    uint8_t tail[MODBUS_TCP_MAX_ADU_LENGTH];
    int left = 6 + (query[4] << 8 | query[5]) - length;
    return left <= 0 || (left <= (int)sizeof tail && recv(fd, tail, (size_t)left, MSG_WAITALL) == left);
}

static void serve(struct server *s, int fd) {
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    modbus_set_socket(s->modbus, fd);
    int length = modbus_receive(s->modbus, query);
    if (s->options.rtu) {
        if (length > 0) answer(s, query, length);
        else if (length == 0) modbus_receive(s->modbus, query); /* for another unit, and now that one's answer, if any */
        return;
    }
    if (length > 0 && drop_tail(fd, query, length)) answer(s, query, length);
    else close(fd);
}

static void run(struct server *s) {
    struct epoll_event events[MAX_EVENTS];
    uint64_t next = now_ms() + (uint64_t)s->options.period_ms;
    while (!stopping) {
        int64_t left = (int64_t)(next - now_ms());
        int n = epoll_wait(s->epoll, events, MAX_EVENTS, left > 0 ? (int)left : 0);
        for (; now_ms() >= next; next += (uint64_t)s->options.period_ms)
            if (s->tick < s->options.ticks) s->tick++;
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == s->listener) accept_client(s);
            else serve(s, events[i].data.fd);
        }
    }
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv) {
    static struct server s;
    s.options = read_options(argc, argv);
    catch_signals();
    s.epoll = epoll_create1(0);
    if (s.epoll < 0) die("epoll", strerror(errno));
    if (s.options.rtu) open_line(&s);
    else listen_on(&s);
    printf("{\"event\":\"ready\",\"port\":%d,\"period_ms\":%d}\n", s.options.port, s.options.period_ms);
    fflush(stdout);
    run(&s);
    printf("{\"event\":\"stopped\",\"ticks\":%llu,\"requests\":%llu,\"exceptions\":%llu}\n", (unsigned long long)s.tick,
           (unsigned long long)s.requests, (unsigned long long)s.exceptions);
    return 0;
}
